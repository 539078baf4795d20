"""Runs the modules, classes or tests named on the command line; the last line counts."""

import logging
import sys
import time
import unittest

import house


class Result(unittest.TextTestResult):
    def startTest(self, test):
        self.began = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.stream.writeln(f"     {time.monotonic() - self.began:.1f} s")


def main():
    logging.getLogger().addHandler(house.client_log)
    logging.getLogger().setLevel(logging.INFO)
    suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result).run(suite)
    failed = len({test.id().split(" ")[0] for test, _ in result.failures + result.errors})
    passed = result.testsRun - failed - len(result.skipped)
    print(f"RESULT passed={passed} failed={failed} skipped={len(result.skipped)}")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
