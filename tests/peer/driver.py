"""Runs commands of the Python tool inside one process, because a process for each of them would cost the time.

A request is a line of JSON: a directory, and the words of a command; or for a race several commands, which are
called in turn until a file is there. The answer is a line of JSON with an entry for each call.
"""

import json
import os
import sys
import time

from click.testing import CliRunner
from lattice.cli.main import cli


def call(argv):
    # As on a command line: what is no UTF-8 stays, as lone surrogates.
    result = CliRunner().invoke(cli, argv)
    # A traceback in the tool is exit status 1 and a word on standard error.
    error = result.exception
    crash = None if error is None or isinstance(error, SystemExit) else repr(error)
    return {"code": result.exit_code, "stdout": result.stdout, "stderr": result.stderr, "crash": crash}


def race(request):
    answers = []
    commands = request["race"]
    while not os.path.exists(request["until"]):
        number = len(answers)
        argv = commands[number % len(commands)]
        own = {"n": number, "pid": os.getpid()}
        answers.append(call([word.format(**own) for word in argv]))
    return answers


def main():
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps({"ready": time.time()}), file=replies, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        os.chdir(request["directory"])
        answers = race(request) if "race" in request else [call(request["argv"])]
        print(json.dumps(answers), file=replies, flush=True)


main()
