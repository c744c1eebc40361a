#!/usr/bin/python3
"""Django's sessions in SQLite in the contest of bench/stores: the same steps,
the same figures, in the same words. Fill writes what save() would write, many
at a time; everything else goes through Django's own SessionStore and clearsessions.

    sessions.py -dir FOLDER -do fill|open|find|login|expire|sweep [-n 1000000]
"""
import time

BEGIN = time.monotonic()

import argparse
import json
import os
import threading
from datetime import timedelta

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

FEW, RATE, CALM, AGAIN, LOGINS, CROWD = 5000, 1000, 5.0, 3.0, 5.0, 64
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def setup(folder):
    settings.configure(
        SECRET_KEY="the same in every step",
        INSTALLED_APPS=["django.contrib.sessions"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(folder, "django.sqlite3"), "OPTIONS": {"timeout": 60}}},
        SESSION_COOKIE_AGE=12 * 3600,
        USE_TZ=True,
    )
    django.setup()
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session

    return SessionStore, Session


def values(user):
    return {"_auth_user_id": user, "_auth_user_backend": "django.contrib.auth.backends.ModelBackend", "_auth_user_hash": "stamp",
            "source": "file", "addr": "192.0.2.1", "agent": AGENT, "login": int(time.time()), "seen": int(time.time())}


def fill(store, model, n, few, expires):
    blank = store()
    tokens = []
    with connection.cursor() as c:
        c.execute("PRAGMA synchronous = OFF")  # this step only
    keys = sorted(random_key() for _ in range(n))
    every = max(1, n // few) if few else 0
    for at in range(0, n, 10000):
        part = keys[at:at + 10000]
        with transaction.atomic():
            model.objects.bulk_create(
                [model(session_key=k, session_data=blank.encode(values("user-%07d" % (at + i))), expire_date=expires) for i, k in enumerate(part)])
        if every:
            tokens += [k for i, k in enumerate(part) if (at + i) % every == 0]
    return tokens[:few]


def random_key():
    """As _get_new_session_key, without asking whether it is taken."""
    from django.utils.crypto import get_random_string

    return get_random_string(32, "abcdefghijklmnopqrstuvwxyz0123456789")


def find(store, token):
    user = store(token).get("_auth_user_id")
    if not user:
        raise SystemExit("a session was not found")
    return user


def login(store, user):
    s = store()
    s.update(values(user))
    s.cycle_key()
    s.save()


def looked_up(store, tokens):
    def everything():
        for t in tokens:
            find(store, t)

    begin = time.monotonic()
    everything()
    cold = len(tokens) / (time.monotonic() - begin)
    begin, n = time.monotonic(), 0
    while time.monotonic() - begin < AGAIN:
        everything()
        n += len(tokens)
    return {"cold": cold, "hot": n / (time.monotonic() - begin), "anon_mib": status("RssAnon:"), "rss_mib": status("VmRSS:")}


def logins(store, at):
    """How many people sign in each second when so many try at once, each on a thread."""
    counts, errors = [0] * at, []
    begin = time.monotonic()

    def one(who):
        try:
            while time.monotonic() - begin < LOGINS:
                login(store, "guest-%d-%d" % (who, counts[who]))
                counts[who] += 1
        except Exception as e:  # reported below
            errors.append(e)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(i,)) for i in range(at)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    return sum(counts) / (time.monotonic() - begin)


def beside(store, tokens, do):
    """Look-ups at a fixed rate until do returns: their latencies in ms from when they were due, and how long it took."""
    took = []

    def work():
        begin = time.monotonic()
        do()
        took.append(time.monotonic() - begin)
        connection.close()

    t = threading.Thread(target=work)
    t.start()
    latencies, due, i = [], time.monotonic(), 0
    while t.is_alive():
        due += 1 / RATE
        time.sleep(max(0, due - time.monotonic()))
        find(store, tokens[i % len(tokens)])
        i += 1
        latencies.append((time.monotonic() - due) * 1000)
    if not took:
        raise SystemExit("the sweep failed")
    return sorted(latencies), took[0]


def quantile(latencies, q):
    return latencies[min(len(latencies) - 1, int(q * len(latencies)))]


def status(name):
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    return 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument("-dir")
    p.add_argument("-do")
    p.add_argument("-n", type=int, default=1_000_000)
    a = p.parse_args()
    store, model = setup(a.dir)
    names = os.path.join(a.dir, "tokens")
    if a.do == "fill":
        begin = time.monotonic()
        call_command("migrate", verbosity=0)
        tokens = fill(store, model, a.n, FEW, timezone.now() + timedelta(hours=12))
        took = time.monotonic() - begin
        connection.close()
        size = os.path.getsize(settings.DATABASES["default"]["NAME"])
        with open(names, "w") as f:
            f.write("\n".join(tokens))
        return {"fill_s": took, "bytes_each": size / a.n}
    if a.do == "expire":
        fill(store, model, a.n, 0, timezone.now() - timedelta(hours=2))
        return {}
    with open(names) as f:
        tokens = f.read().split()
    if a.do == "open":
        find(store, tokens[0])
        return {"open_ms": (time.monotonic() - BEGIN) * 1000}
    if a.do == "find":
        return looked_up(store, tokens)
    if a.do == "login":
        return {"logins_1": logins(store, 1), "logins_many": logins(store, CROWD)}
    if a.do == "sweep":
        calm, _ = beside(store, tokens, lambda: time.sleep(CALM))
        during, took = beside(store, tokens, lambda: call_command("clearsessions"))
        return {"sweep_s": took, "calm_p99": quantile(calm, 0.99), "sweep_p99": quantile(during, 0.99), "sweep_p999": quantile(during, 0.999)}
    raise SystemExit("%r is no step" % a.do)


if __name__ == "__main__":
    print(json.dumps(main()))
