"""A chat room: clients hand in a function, and everybody's is called with what anybody says.

    python chat_server.py [PORT]

Port 18861 unless given; with 0, a free one, which the log says. Who vanishes has left; who does not answer is left out.
"""

import argparse
import threading

import netref as rpyc

PATIENCE = 5  # seconds that a client may take to hear something


class Room:
    def __init__(self):
        # Held while telling: all hear all in the same order. So what a client does when it hears something must not
        # wait for saying something; if it does, it is left out.
        self.talking = threading.RLock()
        self.members = {}

    def add(self, member):
        with self.talking:
            if member.name in self.members:
                raise ValueError(f"there is another {member.name} here")
            self.members[member.name] = member
            self.tell_all(f"{member.name} has come")
            return tuple(sorted(self.members))

    def remove(self, member):
        with self.talking:
            if self.members.get(member.name) is member:
                del self.members[member.name]
                self.tell_all(f"{member.name} has left")

    def tell_all(self, text):
        with self.talking:
            asked = []
            for member in list(self.members.values()):  # all at once
                try:
                    asked.append((member, member.hear(text)))
                except EOFError:
                    self.remove(member)
            for member, heard in asked:
                try:
                    heard.wait()
                except (EOFError, rpyc.AsyncResultTimeout):
                    self.remove(member)


class ChatService(rpyc.Service):
    """What a client has: a place in the room."""

    def __init__(self, room):
        self.room, self.name, self.hear = room, None, None

    def on_disconnect(self, conn):
        self.room.remove(self)

    def exposed_join(self, name, hear):
        """Returns who is there. From now on, `hear` is called with what is said."""
        self.room.remove(self)
        self.name, self.hear = name, rpyc.timed(hear, PATIENCE)
        return self.room.add(self)

    def exposed_say(self, text):
        """Returns when everybody has heard it."""
        self.room.tell_all(f"{self.name}: {text}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Runs a chat room.")
    parser.add_argument("port", type=int, nargs="?", default=18861)
    options = parser.parse_args()
    rpyc.setup_logger()
    rpyc.ThreadedServer(rpyc.classpartial(ChatService, Room()), hostname="localhost", port=options.port).start()
