/* The disk that loses power keeps one image of a file and how to undo what is not synced. Here it
 * is held against a model that keeps both: what a reader sees, and what the medium has. */
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "base/mem.h"
#include "sim/chance.h"
#include "sim/disk.h"
#include "store/store.h"
#include "test/kit/kit.h"

enum { ROOM = 40000, WRITE_MAX = 600, PENDING_MAX = 4000 };

struct side {
    unsigned char at[ROOM];
    size_t n;
};

struct model {
    uint64_t random;
    struct side cached, durable;
    struct {
        bool is_cut;
        size_t at, n;
        unsigned char bytes[WRITE_MAX];
    } pending[PENDING_MAX];
    size_t count;
    bool lies;
};

static void side_put(struct side *s, const unsigned char *bytes, size_t n, size_t at)
{
    CHECK(at + n <= ROOM);
    if (s->n < at) {
        memset(s->at + s->n, 0, at - s->n);
        s->n = at;
    }
    memcpy(s->at + at, bytes, n);
    s->n = s->n < at + n ? at + n : s->n;
}

static void side_cut(struct side *s, size_t at)
{
    s->n = s->n < at ? s->n : at;
}

static void model_land(struct model *m, size_t i, size_t n)
{
    if (m->pending[i].is_cut) {
        side_cut(&m->durable, m->pending[i].at);
    } else {
        side_put(&m->durable, m->pending[i].bytes, n, m->pending[i].at);
    }
}

static void model_note(struct model *m, bool is_cut, const unsigned char *bytes, size_t n,
                       size_t at)
{
    CHECK(m->count < PENDING_MAX);
    m->pending[m->count].is_cut = is_cut;
    m->pending[m->count].at = at;
    m->pending[m->count].n = n;
    if (is_cut) {
        side_cut(&m->cached, at);
    } else {
        memcpy(m->pending[m->count].bytes, bytes, n);
        side_put(&m->cached, bytes, n, at);
    }
    m->count++;
}

static void model_sync(struct model *m, bool fails)
{
    for (size_t i = 0; i < m->count && (fails || !m->lies); i++) {
        if (!fails || m->pending[i].is_cut || chance_below(&m->random, 2)) {
            model_land(m, i, m->pending[i].n);
        }
    }
    m->count = fails || !m->lies ? 0 : m->count;
}

static void model_forget(struct model *m)
{
    if (m->count == 0) {
        m->cached = m->durable;
    }
}

static void model_lose_power(struct model *m)
{
    for (size_t i = 0; i < m->count; i++) {
        uint64_t fate = chance_below(&m->random, 3);
        bool is_torn = fate == 2 && !m->pending[i].is_cut;
        size_t n = m->pending[i].n, at = m->pending[i].at;
        size_t done = is_torn ? (size_t)chance_below(&m->random, n + 1) : n;
        if (fate > 0) {
            model_land(m, i, done);
        }
        if (is_torn && chance_below(&m->random, 2)) {
            for (; done < n; done++) {
                unsigned char c = (unsigned char)chance_below(&m->random, 256);
                side_put(&m->durable, &c, 1, at + done);
            }
        }
    }
    m->count = 0;
    model_forget(m);
}

/* ---- both ---- */

struct both {
    struct model m;
    struct sim_disk *disk;
    sqlite3_vfs *vfs;
    sqlite3_file *file;
    uint64_t dice;
    int fails; /* the next operation */
};

static int ask(void *data)
{
    return ((struct both *)data)->fails;
}

static void open_file(struct both *b)
{
    CHECK_EQ(b->vfs->xOpen(b->vfs, "file", b->file, SQLITE_OPEN_CREATE, NULL), SQLITE_OK);
}

static void compare(struct both *b)
{
    static unsigned char got[ROOM];
    sqlite3_int64 size = -1;
    CHECK_EQ(b->file->pMethods->xFileSize(b->file, &size), SQLITE_OK);
    CHECK_EQ(size, b->m.cached.n);
    CHECK_EQ(b->file->pMethods->xRead(b->file, got, ROOM, 0), SQLITE_IOERR_SHORT_READ);
    CHECK(memcmp(got, b->m.cached.at, b->m.cached.n) == 0);
}

static void write_both(struct both *b)
{
    unsigned char bytes[WRITE_MAX];
    size_t n = 1 + (size_t)chance_below(&b->dice, WRITE_MAX), done = n;
    size_t at = (size_t)chance_below(&b->dice, chance_below(&b->dice, 9) ? 4000 : 30000);
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (unsigned char)chance_next(&b->dice);
    }
    int rc = b->file->pMethods->xWrite(b->file, bytes, (int)n, (sqlite3_int64)at);
    CHECK_EQ(rc == SQLITE_OK, b->fails == 0);
    done = b->fails ? (size_t)chance_below(&b->m.random, n) : n;
    if (done > 0) {
        model_note(&b->m, false, bytes, done, at);
    }
}

static void cut_both(struct both *b)
{
    size_t at = (size_t)chance_below(&b->dice, 5000);
    CHECK_EQ(b->file->pMethods->xTruncate(b->file, (sqlite3_int64)at), SQLITE_OK);
    model_note(&b->m, true, NULL, 0, at);
}

static void restart_both(struct both *b, bool power)
{
    (void)b->file->pMethods->xClose(b->file);
    (void)sim_disk_restart(b->disk, power);
    if (power) {
        model_lose_power(&b->m);
    }
    open_file(b);
}

static void step(struct both *b)
{
    uint64_t what = chance_below(&b->dice, 100);
    b->fails = chance_below(&b->dice, 12) ? 0 : -EIO;
    if (what < 70) {
        write_both(b);
    } else if (what < 80) {
        b->fails = 0;
        cut_both(b);
    } else if (what < 92) {
        CHECK_EQ(b->file->pMethods->xSync(b->file, SQLITE_SYNC_FULL) == SQLITE_OK, b->fails == 0);
        model_sync(&b->m, b->fails != 0);
    } else if (what < 95) {
        (void)b->file->pMethods->xFileControl(b->file, STORE_SQLITE_FORGET, NULL);
        model_forget(&b->m);
    } else {
        restart_both(b, what < 98);
    }
}

static void play(uint64_t seed, bool lies)
{
    struct both *b = mem_new(sizeof *b);
    b->m.random = b->dice = seed;
    b->m.lies = lies;
    b->disk = sim_disk_new(seed, ask, b);
    b->vfs = sqlite3_vfs_find(sim_disk_vfs(b->disk));
    b->file = mem_new((size_t)b->vfs->szOsFile);
    if (lies) {
        sim_disk_lie(b->disk);
    }
    open_file(b);
    for (int i = 0; i < 300; i++) {
        step(b);
        compare(b);
    }
    (void)b->file->pMethods->xClose(b->file);
    sim_disk_free(b->disk);
    free(b->file);
    free(b);
}

TEST(disk_is_as_a_model_that_keeps_both_sides)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        play(seed, false);
    }
}

TEST(disk_that_lies_is_as_the_model_too)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        play(seed, true);
    }
}

TEST(rot_is_of_what_is_synced)
{
    struct both *b = mem_new(sizeof *b);
    unsigned char page[8192], got[8192];
    memset(page, 7, sizeof page);
    b->disk = sim_disk_new(1, ask, b);
    b->vfs = sqlite3_vfs_find(sim_disk_vfs(b->disk));
    b->file = mem_new((size_t)b->vfs->szOsFile);
    open_file(b);
    (void)b->file->pMethods->xWrite(b->file, page, sizeof page, 0);
    (void)b->file->pMethods->xSync(b->file, SQLITE_SYNC_FULL);
    memset(page, 8, sizeof page);
    (void)b->file->pMethods->xWrite(b->file, page, sizeof page, 4096);
    (void)b->file->pMethods->xClose(b->file);
    sim_disk_rot(b->disk);
    open_file(b);
    CHECK_EQ(b->file->pMethods->xRead(b->file, got, sizeof got, 0), SQLITE_OK);
    for (size_t i = 0; i < sizeof got; i++) {
        CHECK_EQ(got[i], i >= 4096 && i % 1024 == 0 ? 7 ^ 0x10 : 7);
    }
    (void)b->file->pMethods->xClose(b->file);
    sim_disk_free(b->disk);
    free(b->file);
    free(b);
}
