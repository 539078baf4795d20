"""What the three clients' tests share: the broker's address, fresh names, and an eye on what a client logs."""

import logging
import os
import random
import re
import time

BROKER = os.environ["BROKER"]
PATIENCE_S = 30
# What the clients' event loops log when the machine is busy with something else; no broker can help it.
SLOW_MACHINE = re.compile(r"WARNING asyncio: Executing .* took |WARNING kafka\.net\.selector: Task .* ran for ")
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


class ClientLog(logging.Handler):
    """Keeps every warning and error that a client writes."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.found = []

    def emit(self, record):
        line = f"{record.levelname} {record.name}: {record.getMessage()}"
        if not SLOW_MACHINE.match(line):
            self.found.append(line)


client_log = ClientLog()


class Watched:
    """A test that fails when its client logged trouble; `expect_log` names lines that the test provokes."""

    def setUp(self):
        super().setUp()
        client_log.found.clear()
        self.expected = []

    def expect_log(self, part):
        self.expected.append(part)

    def check_log(self):
        found = [line for line in client_log.found if not any(part in line for part in self.expected)]
        self.assertEqual([], found, "the client's log tells of trouble")


def fresh(prefix):
    """A name that no other test and no other run has."""
    return f"{prefix}-{random.getrandbits(32):08x}"


def settle():
    """Gives a broker without read-your-writes the time to see a change; set for Apache Kafka only."""
    time.sleep(int(os.environ.get("SETTLE_MS", "0")) / 1000)


def eventually(condition, what):
    """Waits until the condition holds and returns its value."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.05)
