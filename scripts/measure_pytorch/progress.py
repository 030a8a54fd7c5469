"""What a user sees meanwhile, and Ctrl-C."""
import sys

stop_asked = False


def ask_to_stop(*_):
    global stop_asked
    stop_asked = True


def note(text):
    print(text, file=sys.stderr, flush=True)
