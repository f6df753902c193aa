#!/usr/bin/env python3
"""Sells some of an item: takes them from "stock/ITEM" and adds them to "sold/ITEM", both or neither,
as if nobody else were selling. The work is in sheaf.py."""

import argparse
import sys

import sheaf


def main():
    parser = argparse.ArgumentParser(
        description="Sell COUNT of ITEM.",
        epilog="Example: putall.py --addr localhost:7451 apples 3",
    )
    parser.add_argument("--addr", default="localhost:7451", help="the node's HTTP address")
    parser.add_argument("item")
    parser.add_argument("count", type=int)
    args = parser.parse_args()
    stock, sold = f"stock/{args.item}", f"sold/{args.item}"
    left = 0

    def sell(values):
        nonlocal left
        left = int(values.get(stock, 0)) - args.count
        if left < 0:
            raise SystemExit(f"putall.py: there are only {values.get(stock, 0)} {args.item}")
        return [
            {"key": stock, "value": str(left)},
            {"key": sold, "value": str(int(values.get(sold, 0)) + args.count)},
        ]

    try:
        answer = sheaf.Client(args.addr).update([stock, sold], sell)
    except (sheaf.Problem, OSError) as error:
        sys.exit(f"putall.py: {args.addr}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"sold {args.count} {args.item}, {left} are left: version {answer['version']}, replayed {answer['replayed']}")


if __name__ == "__main__":
    main()
