"""Reading and writing batches of a Sheaf node over HTTP, with the standard library alone.

Every writer has two rules, and this module is them:

* No answer, or an error whose "retry" is "same-id": send the same batch with the same
  Idempotency-Key. It is applied once, however often it is sent.
* 412, whose "retry" is "reread": somebody else has written. Read again, decide again, and send the
  new batch with the new ETag and a new Idempotency-Key.
"""

import http.client
import json
import random
import time
import urllib.error
import urllib.request
import uuid

ATTEMPT_SECONDS = 10  # one attempt
CALL_SECONDS = 60  # one call, with its retries
ROUNDS = 100  # of reading, merging and writing


class Problem(Exception):
    """An error that a node has answered with: the fields of its problem document (RFC 9457)."""

    def __init__(self, document):
        super().__init__(f"{document.get('reason')}: {document.get('detail')}")
        self.reason = document.get("reason")
        self.retry = document.get("retry")
        self.retry_after = document.get("retry_after_ms", 0) / 1000


class Client:
    def __init__(self, addr):
        self.url = f"http://{addr}"

    def put_all(self, entries, if_match=None, request_id=None):
        """Writes a batch, all or nothing, and returns {"version", "etag", "replayed"}."""
        headers = {"Idempotency-Key": request_id or str(uuid.uuid4())}
        if if_match:
            headers["If-Match"] = if_match
        return self._call("/v1/putall", {"entries": entries}, headers)

    def get_all(self, keys):
        """Reads keys as they are at one instant: {key: value} of those that are there, and the ETag."""
        answer = self._call("/v1/getall", {"keys": keys}, {})
        return {e["key"]: e["value"] for e in answer["entries"] if e["found"]}, answer["etag"]

    def update(self, keys, merge):
        """Reads keys, and writes the entries that merge makes of them, as if nobody else were writing.

        merge is given {key: value}, may be called many times, and returns one entry for each key.
        """
        for round_ in range(1, ROUNDS + 1):
            values, etag = self.get_all(keys)
            try:
                return self.put_all(merge(values), if_match=etag)
            except Problem as problem:
                if problem.retry != "reread" or round_ == ROUNDS:
                    raise
            time.sleep(random.uniform(0, 0.01 * min(round_, 20)))

    def _call(self, path, body, headers):
        data = json.dumps(body).encode()  # made once: every attempt sends these bytes
        headers = {"Content-Type": "application/json", **headers}
        deadline, wait = time.monotonic() + CALL_SECONDS, 0.05
        while True:
            try:
                request = urllib.request.Request(self.url + path, data, headers)
                with urllib.request.urlopen(request, timeout=ATTEMPT_SECONDS) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                failure = problem_of(error)
                if failure.retry not in ("same-id", "elsewhere"):
                    raise failure from None
                wait = max(wait, failure.retry_after)
            except (OSError, http.client.HTTPException, ValueError) as error:
                failure = error  # nobody knows what became of it
            if time.monotonic() + wait > deadline:
                raise failure
            time.sleep(wait * random.uniform(0.5, 1))
            wait = min(2 * wait, 2)


def problem_of(error):
    """The Problem of an HTTP error, which may also come from a proxy that knows nothing of Sheaf."""
    try:
        return Problem(json.load(error))
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        retry = "same-id" if error.code in (429, 502, 503, 504) else "no"
        return Problem({"reason": f"HTTP {error.code}", "detail": error.reason, "retry": retry})
