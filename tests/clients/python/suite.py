"""Runs the modules, classes or tests named on the command line; the last line counts."""

import logging
import os
import pathlib
import sys
import time
import unittest

import confluent_kafka
import house


class Result(unittest.TextTestResult):
    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.stream.writeln(f"     {time.monotonic() - self.began:.1f} s")


def known_failures():
    """Tests that our broker does not pass yet, with the reason; empty against Apache Kafka and with KNOWN=1."""
    if os.environ.get("TARGET") == "kafka" or os.environ.get("KNOWN"):
        return {}
    lines = (pathlib.Path(__file__).parent / "known-failures").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines)


def each(suite):
    for test in suite:
        yield from each(test) if isinstance(test, unittest.TestSuite) else [test]


def skip_known(suite):
    reasons = known_failures()
    for test in each(suite):
        name = test.id()
        if name in reasons:
            method = name.rsplit(".", 1)[1]
            setattr(test, method, unittest.skip(reasons[name])(lambda: None))


def warm_up():
    """Apache Kafka serves before it has loaded its producer ids, and a client's log tells of the retry."""
    made = confluent_kafka.Producer({"bootstrap.servers": house.BROKER, "transactional.id": house.fresh("warm")})
    made.init_transactions(house.PATIENCE_S)


def main():
    if os.environ.get("TARGET") == "kafka":
        warm_up()
    logging.getLogger().addHandler(house.client_log)
    logging.getLogger().setLevel(logging.INFO)
    suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:])
    skip_known(suite)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result).run(suite)
    failed = len({test.id().split(" ")[0] for test, _ in result.failures + result.errors})
    passed = result.testsRun - failed - len(result.skipped)
    print(f"RESULT passed={passed} failed={failed} skipped={len(result.skipped)}")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
