// What the pages do better with a script. Each works without.
(function () {
  var each = function (selector, f) { Array.prototype.forEach.call(document.querySelectorAll(selector), f); };
  var find = function (id) { return document.getElementById(id); };

  // The part of the address after # never reaches a server: carry it across the login.
  var next = find("next");
  if (next && location.hash && next.value.indexOf("#") < 0) next.value += location.hash;

  // The name stays where it was typed when the password was wrong.
  var name = find("username"), error = find("error"), store;
  try { store = window.sessionStorage; } catch (e) { store = null; }
  if (name && store) {
    var kept = store.getItem("gatehouse name");
    store.removeItem("gatehouse name");
    if (error && kept && !name.value) { name.value = kept; find("password").focus(); }
    name.form.addEventListener("submit", function () { store.setItem("gatehouse name", name.value); });
  }

  // A box beside each password shows it. What is sent is hidden again, so that
  // the browser knows that it is a password.
  each(".show", function (box) {
    var field = box.parentNode.querySelector("input");
    box.hidden = false;
    box.checked = false;
    box.addEventListener("change", function () { field.type = box.checked ? "text" : "password"; });
    field.form.addEventListener("submit", function () { box.checked = false; field.type = "password"; });
  });

  // Capitals are told of while a password is typed.
  var caps = find("capslock");
  each("input[type=password]", function (field) {
    var look = function (e) { if (caps && e.getModifierState) caps.hidden = !e.getModifierState("CapsLock"); };
    field.addEventListener("keydown", look);
    field.addEventListener("keyup", look);
    field.addEventListener("blur", function () { if (caps) caps.hidden = true; });
  });
})();
