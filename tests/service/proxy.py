"""A TCP proxy that a test can cut and restore: the server behind it is untouched."""

import contextlib
import socket
import threading


class Proxy:
    """Forwards connections to ``(host, port)``; while it is cut, connections are closed and refused."""

    def __init__(self, host, port):
        self._server = (host, port)
        self._open = set()
        self._lock = threading.Lock()
        self._closed = False
        self._listener = None
        self.port = 0
        self.restore()

    def restore(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(50)
        self.port, self._listener = listener.getsockname()[1], listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self):
        listener, self._listener = self._listener, None
        for each in (listener, *self._connections()):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def close(self):
        if self._listener is not None:
            self.cut()

    def _connections(self):
        with self._lock:
            found, self._open = list(self._open), set()
        return found

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            with self._lock:
                self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    @staticmethod
    def _forward(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
