"""Trees in memory for the tests."""

from tlog.hashing import leaf_hash
from tlog.tree import Appender

LEAVES = [leaf_hash(b"leaf %d" % index) for index in range(70_000)]


class Store:
    """Tiles in memory, the widest of each place."""

    def __init__(self):
        self.tiles = {}
        self.reads = []

    def write(self, tiles):
        for tile in tiles:
            self.tiles[tile.coord.level, tile.coord.index] = tile.data

    async def read(self, level, index, width):
        self.reads.append((level, index))
        return self.tiles[level, index][: width * 32]


def stored(size):
    store = Store()
    growth = Appender().grow(LEAVES[:size])
    store.write(growth.tiles)
    return store, growth.root
