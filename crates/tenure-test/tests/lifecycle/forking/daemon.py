"""A server that puts itself into the background, as servers have done for decades.

`daemon.py DIRECTORY [WORD…]` notes in DIRECTORY/story what it does; words: `exit=N` (before it forks), `pid=FILE` (write
its pid there), `late=PATH` (meet at PATH first), `wrong=N` (write this pid instead), `helpers=N` (leave so many other
processes), `once` (fork once only), `keeper` (leave a process above the server), `stay` (do not fork), `port=NAME` (the variable that names the port). USR1 has a
process of its own take its place.
"""

import fcntl
import os
import signal
import socket
import sys

DIRECTORY = sys.argv[1]
WORDS = dict(word.partition("=")[::2] for word in sys.argv[2:])


def note(what):
    with open(os.path.join(DIRECTORY, "story"), "a") as story:
        story.write(f"{what} {os.getpid()}\n")


def go_into_the_background():
    for _ in range(int(WORDS.get("helpers", 0))):
        if os.fork() == 0:
            signal.pause()
    if os.fork():
        os._exit(0)
    os.setsid()
    if "once" not in WORDS and os.fork():
        os._exit(0)
    null = os.open("/dev/null", os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    os.closerange(3, 1024)
    if "keeper" in WORDS and os.fork():
        os.wait()
        signal.pause()


def write_pid():
    if "late" in WORDS:
        with socket.socket(socket.AF_UNIX) as meeting:
            meeting.connect(WORDS["late"])
            meeting.sendall(f"late {os.getpid()}\n".encode())
            meeting.recv(1)
    if "pid" in WORDS:
        with open(WORDS["pid"], "w") as file:
            file.write(WORDS.get("wrong", str(os.getpid())) + "\n")


def asked_to_end(*_):
    note("asked")
    os._exit(0)


def hand_on(*_):
    if os.fork():
        signal.signal(signal.SIGCHLD, lambda *_: None)
        os.close(gate[1])
        os.read(gate[0], 1)
        os._exit(0)
    write_pid()
    note("heir")
    os.write(gate[1], b"g")


note("first")
if "exit" in WORDS:
    sys.exit(int(WORDS["exit"]))
if "stay" not in WORDS:
    go_into_the_background()
gate = os.pipe()
signal.signal(signal.SIGTERM, asked_to_end)
signal.signal(signal.SIGUSR1, hand_on)
alone = open(os.path.join(DIRECTORY, "alone"), "w")
try:
    fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    note("double")
write_pid()
server = socket.create_server(("127.0.0.1", int(os.environ[WORDS.get("port", "PORT")])), backlog=128)
note("serves")
while True:
    client, _ = server.accept()
    with client:
        client.recv(4096)
        client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nup\n")
