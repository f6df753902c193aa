#!/usr/bin/env python3
"""Follows what is committed under a prefix, from /v1/watch (server-sent events), and prints each batch as
a line of JSON. It goes on where it was: after a break by itself, and after its own end with --state."""

import argparse
import http.client
import json
import os
import signal
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import sheaf

MARK_SECONDS = 5  # how often the server says that it is there; silence for thrice as long is a break


def events(response):
    """Yields the events of a stream: (id or None, event, data), the latter two empty for a mark."""
    fields = {}
    for line in response:
        line = line.decode().rstrip("\r\n")
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")  # Sheaf has one line of data in an event
        elif fields:
            yield fields.get("id"), fields.get("event", ""), fields.get("data", "")
            fields = {}


def watch(addr, prefix, token):
    """Yields (token, batch) for every batch, and (token, None) for a mark, and connects again for ever.

    Without a token it begins now. Whoever keeps the token of the last batch that was worked on, and
    begins with it, misses nothing. A Problem ends it: COMPACTED is that the token is too old.
    """
    query = urllib.parse.urlencode({"prefix": prefix, "progress_ms": 1000 * MARK_SECONDS})
    wait = 0.05
    while True:
        headers = {"Last-Event-ID": token} if token else {}
        try:
            request = urllib.request.Request(f"http://{addr}/v1/watch?{query}", headers=headers)
            with urllib.request.urlopen(request, timeout=3 * MARK_SECONDS) as response:
                entries = []  # of a large batch, which comes in several events
                for id_, event, data in events(response):
                    wait = 0.05
                    if event == "error":
                        raise_unless_passing(sheaf.Problem(json.loads(data)))
                        break
                    batch = json.loads(data) if event == "batch" else None
                    if batch:
                        entries += batch["entries"]
                        if batch.get("more"):
                            continue  # until all of it is here there is no ID to go on from
                        batch["entries"], entries = entries, []
                    token = id_ or token
                    yield token, batch
        except urllib.error.HTTPError as error:
            raise_unless_passing(sheaf.problem_of(error))
        except (OSError, http.client.HTTPException):
            pass  # the node is away
        time.sleep(wait)
        wait = min(2 * wait, 2)


def raise_unless_passing(problem):
    if problem.retry not in ("same-id", "elsewhere"):
        raise problem


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Example: watch.py --addr localhost:7451 --prefix orders/ --state orders.token"
    )
    parser.add_argument("--addr", default="localhost:7451", help="the node's HTTP address")
    parser.add_argument("--prefix", default="", help="only keys that begin with this")
    parser.add_argument("--state", help="a file that keeps how far the watch has come")
    args = parser.parse_args()
    token = ""
    try:
        if args.state and os.path.exists(args.state):
            with open(args.state, encoding="utf-8") as file:
                token = file.read()
        for token, batch in watch(args.addr, args.prefix, token):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the end waits for what has begun
            if batch:
                # The work is done first and remembered then: after a crash the last batch comes again.
                print(json.dumps({"version": batch.get("version"), "entries": batch["entries"]}), flush=True)
            if args.state:
                with open(args.state + ".new", "w", encoding="utf-8") as file:
                    file.write(token)
                os.replace(args.state + ".new", args.state)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads any more
    except (sheaf.Problem, OSError) as error:
        sys.exit(f"watch.py: {error}")


if __name__ == "__main__":
    main()
