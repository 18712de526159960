"""Two hosts and a router between them, as network namespaces of a user namespace: nothing of the machine's network is touched.

What is run on a host is a process of this machine in all other respects.
"""

import contextlib
import subprocess
import threading

#: Seconds that a command may take to set something up.
PATIENCE = 20


class Network:
    """Hosts at the addresses `A` and `B`. Raises :class:`OSError` where the machine does not allow it."""

    A, B = "10.77.1.2", "10.77.2.2"

    def __init__(self):
        self._holders = []
        try:
            self._router = self._hold("unshare", "--user", "--map-root-user", "--net")
            self._hosts = {}
            for address, device in ((self.A, "to_a"), (self.B, "to_b")):
                host = self._hosts[address] = self._hold(*self._entering(self._router), "unshare", "--net")
                gateway = address.removesuffix("2") + "1"
                self._do(self._router, f"ip link add name {device} type veth peer name wire netns {host.pid}")
                self._do(self._router, f"ip address add {gateway}/24 dev {device}; ip link set {device} up")
                self._do(host, f"ip link set lo up; ip address add {address}/24 dev wire; ip link set wire up")
                self._do(host, f"ip route add default via {gateway}")
            self.restore()
        except BaseException:
            self.close()
            raise

    def close(self):
        for holder in reversed(self._holders):
            holder.kill()
            holder.wait()
            holder.stdin.close()
            holder.stdout.close()

    def on(self, address, *command):
        """The command that runs a command on a host."""
        return [*self._entering(self._hosts[address]), *command]

    def black_hole(self):
        """From now on nothing that is sent arrives, and nobody is told."""
        self._do(self._router, "echo 0 > /proc/sys/net/ipv4/ip_forward")

    def cut(self):
        """The cable of host B is pulled at the router, which says that there is no way to it."""
        self._do(self._router, "ip link set to_b down")

    def restore(self):
        self._do(self._router, "echo 1 > /proc/sys/net/ipv4/ip_forward; ip link set to_b up")

    @contextlib.contextmanager
    def losing(self, lost, passed):
        """Loses all that is sent for so many seconds, lets it pass for so many, and so on."""
        over = threading.Event()

        def lose():
            while not over.wait(passed):
                self.black_hole()
                over.wait(lost)
                self.restore()

        thread = threading.Thread(target=lose)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.restore()

    @staticmethod
    def _entering(holder):
        return ["nsenter", f"--target={holder.pid}", "--user", "--preserve-credentials", "--net"]

    def _hold(self, *command):
        """A process that keeps a namespace until it is killed."""
        holder = subprocess.Popen(
            [*command, "sh", "-c", "echo there; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._holders.append(holder)
        with holder.stderr:
            if holder.stdout.readline() != b"there\n":
                raise OSError(holder.stderr.read().decode())
        return holder

    def _do(self, holder, script):
        command = [*self._entering(holder), "sh", "-e", "-c", script]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode != 0:
            raise OSError(f"{script}: {done.stderr}")
