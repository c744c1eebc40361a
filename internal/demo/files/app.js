// The pages work without this, save for what a page without a script cannot
// do: set a header, open a WebSocket, read an event stream.
"use strict";

const byId = (id) => document.getElementById(id);
const say = (id, text) => { byId(id).textContent += text + "\n"; };

byId("spoof")?.addEventListener("click", async () => {
  const forged = { "X-Forwarded-User": "root", "x_forwarded_user": "root", "Remote-User": "root", "X-Auth-Request-User": "root" };
  const seen = await (await fetch("/headers", { headers: forged })).json();
  const got = seen.headers.filter((h) => /root/.test(h.value));
  byId("spoof-out").textContent = Object.keys(forged).map((name) => "sent:    " + name + ": root\n").join("") +
    "arrived: X-Forwarded-User: " + (seen.user || "(nothing)") + "\n\n" +
    (got.length === 0 ? "No header with root in it reached the application."
      : "Nothing stands in front of this application: " + got.map((h) => h.name).join(", ") + " arrived.");
});

byId("events-start")?.addEventListener("click", () => {
  const source = new EventSource("/events?n=10&every=500");
  source.onmessage = (e) => say("events-out", e.data);
  source.onerror = () => { say("events-out", "the stream has ended"); source.close(); };
});

byId("echo-form")?.addEventListener("submit", (e) => {
  e.preventDefault();
  const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/echo");
  socket.onopen = () => socket.send(byId("echo-text").value);
  socket.onmessage = (m) => { say("echo-out", m.data); socket.close(1000); };
  socket.onerror = () => say("echo-out", "the connection was refused");
});
