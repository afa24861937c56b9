# SPDX-License-Identifier: MIT
"""Order books kept slowly and obviously, beside examples/book.c; and messages for both: ITCH 5.0, a
big-endian u16 length before each.

The reference has a dictionary of orders and nothing else: whenever books are to be shown they are
added up anew from all orders there are."""
import random
import struct

from feed_tools import ITCH_SIZES

LENGTH = struct.Struct(">H")
ADD = struct.Struct(">cHH6sQcI8sI")
ADD_ATTRIBUTED = struct.Struct(">cHH6sQcI8sI4s")
EXECUTE = struct.Struct(">cHH6sQIQ")
EXECUTE_AT = struct.Struct(">cHH6sQIQcI")
CANCEL = struct.Struct(">cHH6sQI")
DELETE = struct.Struct(">cHH6sQ")
REPLACE = struct.Struct(">cHH6sQQII")
DIRECTORY = struct.Struct(">cHH6s8sccIcc2scccccIc")
COUNTERS = ("unknown", "duplicate", "beyond", "empty", "malformed", "refused")

# ---- the reference


class Books:
    def __init__(self):
        self.orders = {}  # reference: [locate, side, shares, price]
        self.names = {}
        self.messages = 0
        self.count = dict.fromkeys(COUNTERS, 0)

    def add(self, reference, order):
        if order[2] == 0:
            self.count["empty"] += 1
        elif reference in self.orders:
            self.count["duplicate"] += 1
        else:
            self.orders[reference] = order

    def reduce(self, reference, shares):
        order = self.orders.get(reference)
        if order is None:
            self.count["unknown"] += 1
        elif shares == 0:
            self.count["empty"] += 1
        elif shares < order[2]:
            order[2] -= shares
        else:
            self.count["beyond"] += shares > order[2]
            del self.orders[reference]

    def apply(self, message):
        self.messages += 1
        kind = message[:1]
        if ITCH_SIZES.get(kind.decode("latin-1")) != len(message):
            self.count["malformed"] += 1
        elif kind in (b"A", b"F"):
            _, locate, _, _, reference, side, shares, name, price = ADD.unpack(message[:36])
            if side not in (b"B", b"S"):
                self.count["malformed"] += 1
                return
            self.names.setdefault(locate, name.decode().rstrip())
            self.add(reference, [locate, side, shares, price])
        elif kind in (b"E", b"C", b"X"):
            reference, shares = struct.unpack_from(">QI", message, 11)
            self.reduce(reference, shares)
        elif kind == b"D":
            reference, = struct.unpack_from(">Q", message, 11)
            if self.orders.pop(reference, None) is None:
                self.count["unknown"] += 1
        elif kind == b"U":
            old, new, shares, price = struct.unpack_from(">QQII", message, 11)
            order = self.orders.pop(old, None)
            if order is None:
                self.count["unknown"] += 1
            else:
                self.add(new, [order[0], order[1], shares, price])
        elif kind == b"R":
            locate, = struct.unpack_from(">H", message, 1)
            self.names[locate] = message[11:19].decode().rstrip()

    def levels(self):
        """By locate and side: {price: [orders, shares]}."""
        found = {}
        for locate, side, shares, price in self.orders.values():
            level = found.setdefault((locate, side), {}).setdefault(price, [0, 0])
            level[0] += 1
            level[1] += shares
        return found

    def show(self, depth):
        """As book prints them."""
        levels = self.levels()
        lines = [f"after {self.messages} messages"]
        for locate in sorted(self.names):
            bids = sorted(levels.get((locate, b"B"), {}).items(), reverse=True)
            asks = sorted(levels.get((locate, b"S"), {}).items())
            for row in range(max(1, min(depth, max(len(bids), len(asks))))):
                bid, ask = (cell(side[row]) if row < len(side) else cell() for side in (bids, asks))
                lines.append(f"{self.names[locate]:<8} {bid} | {ask}")
        return lines

    def counts(self):
        return ", ".join(f"{name} {count}" for name, count in self.count.items())


def cell(level=None):
    if level is None:
        return f"{'-':>30}"
    price, (orders, shares) = level
    return f"{orders:>6} {shares:>10} {price // 10000:>7}.{price % 10000:04}"


def blocks_of(data):
    at = 0
    while at < len(data):
        size, = LENGTH.unpack_from(data, at)
        yield data[at + 2:at + 2 + size]
        at += 2 + size


def expected(data, depth, every):
    """What book prints of this file."""
    books, lines = Books(), []
    for message in blocks_of(data):
        books.apply(message)
        if every and books.messages % every == 0:
            lines += books.show(depth)
    if not every or books.messages % every:
        lines += books.show(depth)
    return lines + [books.counts()]


# ---- messages by chance


class Market:
    """Makes messages that are valid: whatever is executed, cancelled or replaced is there. With
    `nonsense`, one of so many is not."""

    def __init__(self, seed, symbols=20, orders=20_000, nonsense=0):
        self.random = random.Random(seed)
        self.names = [f"SYM{number}".encode().ljust(8) for number in range(symbols)]
        self.middles = [self.random.randrange(10_000, 5_000_000) for _ in self.names]
        self.orders_wanted = orders
        self.nonsense = nonsense
        self.live = []  # [reference, shares, symbol, side]
        self.next = 1
        self.match = 1
        self.time = 34_200 * 10**9

    def head(self, kind, symbol):
        self.time += int(self.random.expovariate(1e-3))
        return kind, symbol + 1, 0, self.time.to_bytes(6, "big")

    def price(self, symbol, side):
        chance = self.random.random
        if chance() < 0.02:
            self.middles[symbol] = max(1000, self.middles[symbol] + int(100 * (chance() * 3 - 1.5)))
        away = int(100 * (0.1 / (chance() + 0.002))) // 100 * 100
        middle = self.middles[symbol] // 100 * 100
        return max(100, middle - away) if side == b"B" else middle + 100 + away

    def directory(self):
        for symbol, name in enumerate(self.names):
            yield DIRECTORY.pack(*self.head(b"R", symbol), name, b"Q", b"N", 100, b"N", b"C", b"Z ",
                                 b"P", b"N", b"N", b"1", b"N", 0, b"N")

    def add(self):
        chance = self.random.random
        symbol = int(chance() * chance() * len(self.names))
        side = b"B" if chance() < 0.5 else b"S"
        shares = 100 * int(1 + 9 * chance()) if chance() < 0.9 else int(1 + 5000 * chance())
        reference, self.next = self.next, self.next + 1 + int(chance() * 3)
        self.live.append([reference, shares, symbol, side])
        fields = (reference, side, shares, self.names[symbol], self.price(symbol, side))
        if chance() < 0.1:
            return ADD_ATTRIBUTED.pack(*self.head(b"F", symbol), *fields, b"LEAT")
        return ADD.pack(*self.head(b"A", symbol), *fields)

    def pick(self):
        """A live order, the newer ones more often; at its place another one takes its turn."""
        count = len(self.live)
        return count - 1 - int(count * self.random.random()**2)

    def drop(self, place):
        self.live[place] = self.live[-1]
        self.live.pop()

    def execute(self, place):
        reference, shares, symbol, _ = order = self.live[place]
        part = shares if self.random.random() < 0.6 else 1 + int(self.random.random() * shares)
        self.match += 1
        if part == shares:
            self.drop(place)
        order[1] -= part
        if self.random.random() < 0.2:
            return EXECUTE_AT.pack(*self.head(b"C", symbol), reference, part, self.match, b"Y",
                                   self.middles[symbol])
        return EXECUTE.pack(*self.head(b"E", symbol), reference, part, self.match)

    def change(self, place, chance):
        """Cancels a part, replaces, or deletes."""
        reference, shares, symbol, side = order = self.live[place]
        if chance < 0.1 and shares > 1:
            part = 1 + int(self.random.random() * (shares - 1))
            order[1] -= part
            return CANCEL.pack(*self.head(b"X", symbol), reference, part)
        if chance < 0.4:
            order[0], self.next = self.next, self.next + 1
            order[1] = 1 + int(self.random.random() * 2000)
            return REPLACE.pack(*self.head(b"U", symbol), reference, order[0], order[1],
                                self.price(symbol, side))
        self.drop(place)
        return DELETE.pack(*self.head(b"D", symbol), reference)

    def lie(self):
        """An order nobody knows, one that is there already, more than there is, or nothing."""
        reference, shares, symbol, side = self.random.choice(self.live)
        strange = self.random.choice([0, 2**64 - 1, self.next + 10**9])
        fields = (side, 100, self.names[symbol], 10_000)
        return self.random.choice([
            lambda: EXECUTE.pack(*self.head(b"E", symbol), strange, 1, 1),
            lambda: CANCEL.pack(*self.head(b"X", symbol), strange, 1),
            lambda: DELETE.pack(*self.head(b"D", symbol), strange),
            lambda: REPLACE.pack(*self.head(b"U", symbol), strange, self.next, 1, 1),
            lambda: ADD.pack(*self.head(b"A", symbol), reference, *fields),
            lambda: CANCEL.pack(*self.head(b"X", symbol), reference, 0),
            lambda: CANCEL.pack(*self.head(b"X", symbol), reference, shares + 2**31),
            lambda: REPLACE.pack(*self.head(b"U", symbol), reference, reference, 7, 2**32 - 1),
            lambda: REPLACE.pack(*self.head(b"U", symbol), reference,
                                 self.random.choice(self.live)[0], 7, 10_000),
            lambda: REPLACE.pack(*self.head(b"U", symbol), reference, self.next, 0, 10_000),
            lambda: ADD.pack(*self.head(b"A", symbol), self.next, b"b", *fields[1:]),
            lambda: DELETE.pack(*self.head(b"D", symbol), reference)[:-1],
            lambda: b"?" + bytes(20),
            lambda: b"",
        ])()

    def messages(self, count):
        """`count` of them, and before them the directory."""
        yield from self.directory()
        chance = self.random.random
        for _ in range(count):
            # More are added than taken until there are as many as wanted.
            if len(self.live) < 10 or chance() < 0.75 - 0.5 * len(self.live) / self.orders_wanted:
                yield self.add()
            elif self.nonsense and chance() < 1 / self.nonsense:
                yield self.lie()
            elif (what := chance()) < 0.3:
                yield self.execute(self.pick())
            else:
                yield self.change(self.pick(), (what - 0.3) / 0.7)

    def write(self, path, count):
        with open(path, "wb") as file:
            for message in self.messages(count):
                file.write(LENGTH.pack(len(message)) + message)
