"""The model Redis of tests/sim answers as Redis does: the same commands, drawn at random, to both."""
import io
import os
import random
import subprocess
from pathlib import Path

import pytest
from support.redis import Connection, RedisError
from support.wait import TOOL_S

ROOT = Path(__file__).parents[2]
SIM = Path(os.environ["CARILLON_BIN"]).parent / "tests" / "sim" / "carillon_sim"

KEYS = ["a", "b", "c", "d"]
NAMES = ["x", "y", "z", "10", "9"]
VALUES = ["", "1", "-7", "9007199254740993", "text with spaces", '{"n":1}', "\r\n"]
SCORES = ["0", "-1", "2.5", "1e3", "1768473000123", "-inf", "+inf"]
IDS = ["1-0", "2-0", "2-1", "3-0", "5-0", "7", "9-0", "(2-0", "(5-0", "0", "12-0"]
SCRIPTS = [
    "return {1, 2.9, 'three', false, true, {ok = 'fine'}, {'nested', {4}}, nil, 5}",
    "return redis.call('GET', KEYS[1])",
    "local a = redis.pcall('HSET', KEYS[1], ARGV[1], ARGV[2]) if type(a) == 'table' then return a.err end return a",
    "return redis.call('HMGET', KEYS[1], ARGV[1], 'missing')",
    "return redis.pcall('XADD', KEYS[1], 'MAXLEN', 3, '15-0', 'd', ARGV[1])",
    "return #redis.call('XRANGE', KEYS[1], '-', '+')",
    "return {redis.call('ZADD', KEYS[1], 12345678901234, ARGV[1]), redis.call('ZSCORE', KEYS[1], ARGV[1])}",
    "return string.format('%.0f', redis.call('HINCRBY', KEYS[1], ARGV[1], 3))",
    "return {err = 'MINE and mine alone'}",
    "return redis.error_reply('MINE too')",
    "local t = redis.call('TIME') return #t",
    """local v = cjson.decode('[[true, "a\\\\u0041", 3], {"k": false}]') return {v[1][1], v[1][2], v[1][3], v[2].k, #v}""",
]


def draw(rng, at):
    def recent(most):
        """An id that the stream s may have had lately."""
        return f"{max(1, at // 20 + 1 - rng.randrange(most + 1))}-0"

    key, other = rng.choice(KEYS), rng.choice(KEYS)
    name, value, score, number = rng.choice(NAMES), rng.choice(VALUES), rng.choice(SCORES), str(rng.randrange(-3, 6))
    return rng.choice([
        ["GET", key], ["SET", key, value], ["SET", key, value, "NX"], ["SET", key, value, "PX", "100000"],
        ["DEL", key, other], ["EXISTS", key, other, key], ["PEXPIRE", key, "500000"], ["PEXPIRE", key, "0"], ["PTTL", key],
        ["PERSIST", key], ["HGET", key, name], ["HMGET", key, name, "missing"], ["HGETALL", key], ["HKEYS", key],
        ["HVALS", key], ["HSET", key, name, value], ["HSET", key, name, value, "q", "w"], ["HSETNX", key, name, value],
        ["HINCRBY", key, name, number], ["HDEL", key, name, "q"], ["HLEN", key], ["HEXISTS", key, name],
        ["SADD", key, name, value], ["SREM", key, name], ["SMEMBERS", key], ["SCARD", key], ["SISMEMBER", key, name],
        ["ZADD", key, score, name], ["ZADD", key, "NX", score, name], ["ZADD", key, "XX", "CH", score, name],
        ["ZREM", key, name], ["ZSCORE", key, name], ["ZCARD", key], ["ZCOUNT", key, score, "(2000"],
        ["ZRANGE", key, number, "-1"], ["ZRANGE", key, "0", number, "WITHSCORES"],
        ["ZRANGEBYSCORE", key, "-inf", score, "WITHSCORES"], ["ZRANGEBYSCORE", key, "-inf", "+inf", "LIMIT", "1", "2"],
        ["ZADD", "lex", "0", name, "0", value],
        ["ZREM", "lex", name], ["ZLEXCOUNT", "lex", "[" + name, "+"], ["ZRANGEBYLEX", "lex", "-", "(" + name, "LIMIT", "0", "2"],
        ["ZREMRANGEBYSCORE", key, "-inf", score], ["ZSCAN", key, "0", "COUNT", "500"], ["HSCAN", key, "0"],
        ["XADD", key, rng.choice(IDS), "d", value], ["XADD", key, "MAXLEN", "=", "2", rng.choice(IDS), "d", value],
        ["XADD", key, "MAXLEN", "4", rng.choice(IDS), "d", value, "e", name], ["XLEN", key],
        ["XADD", key, "NOMKSTREAM", "MAXLEN", "3", rng.choice(IDS), "d", value],
        ["XRANGE", key, rng.choice(IDS), "+"], ["XRANGE", key, "-", rng.choice(IDS), "COUNT", "2"],
        ["XREVRANGE", key, "+", rng.choice(IDS)], ["XREVRANGE", key, rng.choice(IDS), "-", "COUNT", "2"],
        ["PUBLISH", "nobody", value],
        ["XADD", "s", recent(0), "d", value], ["XDEL", "s", recent(4)], ["XREAD", "COUNT", "2", "STREAMS", "s", recent(8)],
        ["XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"], ["XGROUP", "DELCONSUMER", "s", "g", name],
        ["XREADGROUP", "GROUP", "g", name, "COUNT", "2", "STREAMS", "s", ">"], ["XACK", "s", "g", recent(4), recent(8)],
        ["XAUTOCLAIM", "s", "g", name, "0", rng.choice(["0-0", recent(8)]), "COUNT", "3"],
        ["EVAL", rng.choice(SCRIPTS), "1", key, name, value],
    ])


def encode(words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words)


class Answers(Connection):
    """The output of the model, read as an answer of Redis."""

    def __init__(self, raw):
        self.file = io.BytesIO(raw)


def comparable(words, ask):
    try:
        answer = ask()
    except RedisError as error:
        return "error", str(error).split(" ")[0]
    if words[0] == "SMEMBERS":
        return sorted(answer)
    if words[0] == "PTTL":
        return answer > 0 or answer
    return answer


@pytest.mark.parametrize("seed", range(5))
def test_model_answers_as_redis(redis, seed):
    rng = random.Random(seed)
    commands = [draw(rng, at) for at in range(2000)]
    model = subprocess.run([SIM, "--model"], input=b"".join(map(encode, commands)), capture_output=True, timeout=TOOL_S)
    assert model.returncode == 0, model.stderr
    answers = Answers(model.stdout)
    real = redis.connect()
    for at, words in enumerate(commands):
        expected = comparable(words, lambda words=words: real(*words))
        found = comparable(words, answers.reply)
        assert found == expected, f"command {at}: {words}"
    real.close()


@pytest.mark.parametrize("patch", sorted((ROOT / "tests/sim/mutations").glob("*.patch")), ids=lambda patch: patch.stem)
def test_a_planted_bug_fits_the_code(patch):
    subprocess.run(["git", "apply", "--check", patch], cwd=ROOT, check=True)
