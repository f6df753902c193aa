#!/bin/sh
# Sells some of an item: takes them from "stock/ITEM" and adds them to "sold/ITEM", both or neither, as
# if nobody else were selling, with nothing but curl.
#
# It shows the two rules of every writer:
#   no answer, or one whose "retry" is same-id: send the same batch with the SAME Idempotency-Key.
#     It is applied once, however often it is sent.
#   412, whose "retry" is reread: somebody else has written. Read again, decide again, and send the new
#     batch with the new ETag and a NEW Idempotency-Key.
set -eu

addr=localhost:7451
usage="Sell COUNT of ITEM.

Example:
  curl -X PUT localhost:7451/v1/keys/stock/apples -d 10
  putall.sh --addr localhost:7451 apples 3

  --addr host:port   the node's HTTP address (default $addr)"

fail() {
	echo "putall.sh: $*" >&2
	exit 1
}

while [ $# -gt 0 ]; do
	case $1 in
	-h | --help) echo "$usage" && exit ;;
	--addr) addr=${2:?--addr needs host:port} && shift 2 ;;
	*) break ;;
	esac
done
[ $# -eq 2 ] || fail "name an item and a count; -h has an example"
item=$1 count=$2
case $item in *[!a-z0-9-]*) fail "an item is of a-z, 0-9 and -" ;; esac
case $count in '' | *[!0-9]*) fail "a count is a number" ;; esac

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
trap 'exit 130' INT TERM

# call PATH BODY [CURL OPTION...] leaves the answer in a file, and prints its status. curl itself sends
# the same request again, with the same headers, while there is no answer, or one of 429, 500, 502, 503
# or 504, as long as Retry-After says.
call() {
	path=$1 body=$2
	shift 2
	curl -sS -o "$answer" -w '%{http_code}' --max-time 10 --retry 30 --retry-delay 1 --retry-all-errors --retry-max-time 60 \
		-H 'Content-Type: application/json' "$@" --data "$body" "http://$addr$path" || fail "no answer from $addr"
}

# number KEY and word NAME find a key's value and a field of an error in the answer. Numbers and words
# need no JSON parser; for other values use jq.
number() { sed -n "s|.*\"key\":\"$1\",\"value\":\"\([0-9]*\)\".*|\1|p" "$answer"; }
word() { sed -n "s|.*\"$1\":\"\([A-Za-z_-]*\)\".*|\1|p" "$answer"; }

for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	status=$(call /v1/getall "{\"keys\":[\"stock/$item\",\"sold/$item\"]}")
	[ "$status" = 200 ] || fail "read: $status: $(cat "$answer")"
	etag=$(sed -n 's|.*"etag":"\\"\([0-9a-f]*\)\\"".*|\1|p' "$answer")
	stock=$(number "stock/$item") sold=$(number "sold/$item")
	[ "${stock:-0}" -ge "$count" ] || fail "there are only ${stock:-0} $item"

	id=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	batch="{\"entries\":[{\"key\":\"stock/$item\",\"value\":\"$((stock - count))\"},{\"key\":\"sold/$item\",\"value\":\"$((${sold:-0} + count))\"}]}"
	for attempt in 1 2 3 4 5 6 7 8 9 10; do
		status=$(call /v1/putall "$batch" -H "Idempotency-Key: $id" -H "If-Match: \"$etag\"")
		case $status:$(word retry) in
		200:*)
			echo "sold $count $item, $((stock - count)) are left: $(cat "$answer")"
			exit
			;;
		*:reread) continue 2 ;;
		*:same-id) sleep 1 ;;
		*) fail "write: $status: $(cat "$answer")" ;;
		esac
	done
	fail "no success after $attempt attempts: $(cat "$answer")"
done
fail "others were faster in each of $round rounds"
