#!/usr/bin/env python3
"""A client of Redis that speaks chaos-client/1: an example of a driver in Python, with nothing but the standard library.

What counts is what it says when something goes wrong: `fail` only if the connection was refused before a byte of the operation
was sent or if Redis says by its first word that it did not carry the command out, otherwise `info`. It never tries again.

    chaos client check --endpoint 127.0.0.1:6379 python3 workloads/clients/python/redis_client.py
"""

import json
import socket
import sys

# Redis says these before it carries a command out.
REFUSED = {"READONLY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "OOM", "NOAUTH", "NOPERM", "WRONGTYPE", "BUSY"}

CAS = """
local old = redis.call('GET', KEYS[1])
local same = (ARGV[1] == '1' and old == ARGV[2]) or (ARGV[1] == '0' and not old)
if same then redis.call('SET', KEYS[1], ARGV[3]) end
return { same and 1 or 0, old }
"""


class Refused(Exception):
    """It did not happen."""


class Unknown(Exception):
    """Nobody knows whether it happened."""


class Redis:
    def __init__(self, endpoint, connect_timeout):
        host, port = endpoint.rsplit(":", 1)
        self.address = (host, int(port))
        self.connect_timeout = connect_timeout
        self.connection = None

    def ask(self, *words):
        """One command and its reply. A connection on which anything went wrong is never used again."""
        if self.connection is None:
            try:
                stream = socket.create_connection(self.address, self.connect_timeout)
            except OSError as error:
                raise Refused(f"not connected: {error}") from error
            stream.settimeout(30)
            self.connection = (stream, stream.makefile("rb"))
        stream, answers = self.connection
        self.connection, kept = None, self.connection
        question = b"*%d\r\n" % len(words)
        for word in map(str.encode, words):
            question += b"$%d\r\n%s\r\n" % (len(word), word)
        try:
            stream.sendall(question)
            reply = self.reply(answers)
        except (OSError, ValueError) as error:
            raise Unknown(f"no whole answer: {error}") from error
        self.connection = kept
        if isinstance(reply, Exception):
            raise reply
        return reply

    def reply(self, answers):
        line = answers.readline(1 << 16)
        if not line.endswith(b"\r\n"):
            raise ValueError("the connection ended")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"+":
            return rest
        if kind == b"-":
            refused = rest.split(" ")[0] in REFUSED
            return Refused(rest) if refused else Unknown(rest)
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if rest == "-1":
                return None
            text = answers.read(int(rest) + 2)
            if len(text) != int(rest) + 2:
                raise ValueError("the connection ended")
            return text[:-2].decode("utf-8", "backslashreplace")
        if kind == b"*":
            return [self.reply(answers) for _ in range(int(rest))]
        raise ValueError(f"unreadable: {line[:40]!r}")


def carry_out(redis, op):
    name, key = op["op"], op["key"]
    if name == "read":
        return {"value": redis.ask("GET", key)}
    if name == "write":
        redis.ask("SET", key, op["value"])
        return {}
    if name == "cas":
        there = "0" if op["expect"] is None else "1"
        swapped, old = redis.ask("EVAL", CAS, "1", key, there, op["expect"] or "", op["value"])
        return {"swapped": swapped == 1, "observed": old}
    if name == "add":
        redis.ask("SADD", key, op["value"])
        return {}
    if name == "elements":
        return {"values": redis.ask("SMEMBERS", key)}
    raise Refused(f"no words for {name}")


def say(message):
    # One write for a whole line.
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main():
    redis = None
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "hello":
            redis = Redis(message["endpoint"], message["connect_timeout_ms"] / 1000)
            ops = ["read", "write", "cas", "add", "elements"]
            say({"type": "ready", "protocol": "chaos-client/1", "ops": ops, "questions": ["role"]})
        elif message["type"] == "op":
            done = {"type": "done", "id": message["id"]}
            try:
                say({**done, "outcome": "ok", **carry_out(redis, message)})
            except Refused as error:
                say({**done, "outcome": "fail", "error": str(error)})
            except Unknown as error:
                say({**done, "outcome": "info", "error": str(error)})
        elif message["type"] == "observe":
            leader = {"type": "leader", "id": message["id"]}
            try:
                say({**leader, "role": redis.ask("ROLE")[0]})
            except (Refused, Unknown) as error:
                say({**leader, "error": str(error)})
        elif message["type"] == "close":
            return


if __name__ == "__main__":
    main()
