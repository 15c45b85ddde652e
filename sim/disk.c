/* sim/disk.c: see disk.h. */
#include "sim/disk.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"
#include "sim/chance.h"
#include "store/store.h"

enum {
    FILES_MAX = 8,
    PATH_BYTES = 64,
    SECTOR_BYTES = 4096,
    FILE_ROOM = 4096 * 1024,
    KEPT_ROOM = 256 * 1024
};

struct bytes {
    unsigned char *at;
    size_t n, cap;
};

/* A write that is not synced, or a cut. */
struct pending {
    bool is_cut;
    size_t at, n; /* of a cut n is 0 */
    size_t size;  /* of the file before */
    size_t kept;  /* where its bytes are in those of the file */
    size_t had;   /* so many of what stood there, or was cut off */
};

/* One image, and how to undo what is not synced: what stood where a page is written is mostly
 * nothing, or nobody asks. */
struct disk_file {
    char path[PATH_BYTES]; /* empty: none */
    bool is_open;
    bool is_apart;       /* a sync failed: the medium is an image of its own */
    struct bytes image;  /* what a reader sees */
    struct bytes medium; /* when it is apart: without what is pending */
    VEC(struct pending) pending;
    struct bytes kept; /* what pending writes replaced; when the medium is apart: what they wrote */
};

struct sim_disk {
    sqlite3_vfs vfs;
    char name[32];
    uint64_t random;
    sim_disk_fail_fn *fail;
    void *data;
    struct disk_file files[FILES_MAX];
    bool stopping, stopped, lies;
    uint64_t left;    /* operations until it is stopped */
    uint64_t dropped; /* writes that a failed sync gave up */
};

struct open_file {
    sqlite3_file base; /* first */
    struct sim_disk *disk;
    struct disk_file *file;
    bool delete_on_close;
};

/* ---- content ---- */

/* As long as that, with zeroes behind. */
#define GROW(v, size)                                                                              \
    do {                                                                                           \
        size_t size_ = (size);                                                                     \
        if ((v)->n < size_) {                                                                      \
            VEC_RESERVE(v, size_);                                                                 \
            memset((v)->at + (v)->n, 0, size_ - (v)->n);                                           \
            (v)->n = size_;                                                                        \
        }                                                                                          \
    } while (0)

/* Bytes at their place: what lies between the end and them is zeroes. */
#define PUT(v, bytes, count, place)                                                                \
    do {                                                                                           \
        size_t count_ = (count), place_ = (place);                                                 \
        GROW(v, place_);                                                                           \
        VEC_RESERVE(v, place_ + count_);                                                           \
        memcpy((v)->at + place_, bytes, count_);                                                   \
        (v)->n = (v)->n < place_ + count_ ? place_ + count_ : (v)->n;                              \
    } while (0)

static void append(struct bytes *to, const unsigned char *from, size_t n)
{
    VEC_RESERVE(to, to->n + n);
    if (n > 0) {
        memcpy(to->at + to->n, from, n);
        to->n += n;
    }
}

/* The file is without what is pending: of those writes it keeps from now on what they wrote. */
static void take_back(struct disk_file *f, struct bytes *image)
{
    struct bytes wrote = {0};
    assert(!f->is_apart);
    if (f->pending.n == 0) {
        return;
    }
    VEC_RESERVE(&wrote, f->kept.cap);
    for (size_t i = f->pending.n; i-- > 0;) {
        struct pending *p = &f->pending.at[i];
        size_t place = wrote.n;
        if (!p->is_cut) {
            assert(p->at + p->n <= image->n);
            append(&wrote, image->at + p->at, p->n);
        }
        VEC_RESERVE(image, p->size);
        if (p->had > 0) {
            memcpy(image->at + p->at, f->kept.at + p->kept, p->had);
        }
        image->n = p->size;
        p->kept = place;
    }
    VEC_DONE(&f->kept);
    f->kept = wrote;
}

static struct bytes *medium_of(struct disk_file *f)
{
    return f->is_apart ? &f->medium : &f->image;
}

/* The first `n` bytes of a write reach the medium. */
static void land(struct disk_file *f, const struct pending *p, size_t n)
{
    struct bytes *m = medium_of(f);
    if (p->is_cut) {
        m->n = m->n < p->at ? m->n : p->at;
        return;
    }
    PUT(m, f->kept.at + p->kept, n, p->at);
}

static void forget_pending(struct disk_file *f)
{
    f->pending.n = f->kept.n = 0;
}

static void file_remove(struct disk_file *f)
{
    forget_pending(f);
    VEC_DONE(&f->pending);
    VEC_DONE(&f->image);
    VEC_DONE(&f->medium);
    VEC_DONE(&f->kept);
    *f = (struct disk_file){0};
}

static struct disk_file *find(struct sim_disk *d, const char *path)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (d->files[i].path[0] && strcmp(d->files[i].path, path) == 0) {
            return &d->files[i];
        }
    }
    return NULL;
}

/* The page cache forgets what is not on its way to the medium. */
static void show_medium(struct disk_file *f)
{
    if (f->pending.n == 0 && f->is_apart) {
        VEC_DONE(&f->image);
        f->image = f->medium;
        f->medium = (struct bytes){0};
        f->is_apart = false;
    }
}

/* The power goes: what becomes of the writes on their way. */
static void lose_power(struct sim_disk *d, struct disk_file *f, struct sim_disk_loss *loss)
{
    if (!f->is_apart) {
        take_back(f, &f->image);
    }
    struct bytes *m = medium_of(f);
    for (size_t i = 0; i < f->pending.n; i++) {
        const struct pending *p = &f->pending.at[i];
        uint64_t fate = chance_below(&d->random, 3);
        size_t n = fate == 0                ? 0
                   : fate == 1 || p->is_cut ? p->n
                                            : (size_t)chance_below(&d->random, p->n + 1);
        loss->lost += fate == 0;
        loss->torn += fate == 2 && !p->is_cut;
        if (fate > 0) {
            land(f, p, n);
        }
        if (fate == 2 && !p->is_cut && chance_below(&d->random, 2)) {
            GROW(m, p->at + p->n);
            for (size_t at = p->at + n; at < p->at + p->n; at++) {
                m->at[at] = (unsigned char)chance_below(&d->random, 256);
            }
        }
    }
    forget_pending(f);
    show_medium(f);
}

/* ---- operations that change something ---- */

/* A full disk fails what needs room. */
static int before(struct sim_disk *d, bool needs_room)
{
    if (d->stopping && d->left == 0) {
        d->stopped = true;
    }
    d->left -= d->stopping && !d->stopped;
    if (d->stopped) {
        return SQLITE_IOERR;
    }
    int code = d->fail ? d->fail(d->data) : 0;
    return code == -ENOSPC ? (needs_room ? SQLITE_FULL : SQLITE_OK)
           : code < 0      ? SQLITE_IOERR
                           : SQLITE_OK;
}

static struct open_file *open_of(sqlite3_file *base)
{
    return (struct open_file *)base;
}

/* A write of so many bytes, or a cut there, goes to the page cache: how to undo it is kept. */
static void note(struct disk_file *f, struct pending p, const void *bytes)
{
    size_t size = f->image.n, end = p.is_cut ? size : p.at + p.n;
    end = end < size ? end : size;
    p.size = size;
    p.kept = f->kept.n;
    p.had = p.at < end ? end - p.at : 0;
    if (f->is_apart) {
        append(&f->kept, bytes, p.n);
    } else if (p.had > 0) {
        append(&f->kept, f->image.at + p.at, p.had);
    }
    VEC_PUSH(&f->pending, p);
}

/* To the page cache. */
static void put(struct disk_file *f, const void *bytes, size_t n, size_t at)
{
    note(f, (struct pending){.at = at, .n = n}, bytes);
    PUT(&f->image, bytes, n, at);
}

static int op_write(sqlite3_file *base, const void *bytes, int n, sqlite3_int64 at)
{
    struct open_file *o = open_of(base);
    int rc = before(o->disk, true);
    size_t done = rc == SQLITE_OK    ? (size_t)n
                  : o->disk->stopped ? 0
                                     : (size_t)chance_below(&o->disk->random, (uint64_t)n);
    if (done > 0) {
        put(o->file, bytes, done, (size_t)at);
    }
    return rc == SQLITE_IOERR ? SQLITE_IOERR_WRITE : rc;
}

static int op_truncate(sqlite3_file *base, sqlite3_int64 size)
{
    struct open_file *o = open_of(base);
    int rc = before(o->disk, false);
    if (rc != SQLITE_OK) {
        return SQLITE_IOERR_TRUNCATE;
    }
    struct disk_file *f = o->file;
    note(f, (struct pending){.is_cut = true, .at = (size_t)size}, NULL);
    f->image.n = f->image.n < (size_t)size ? f->image.n : (size_t)size;
    return SQLITE_OK;
}

/* Each page is on the medium or given up for lost; none is tried again. */
static void sync_in_part(struct sim_disk *d, struct disk_file *f)
{
    if (!f->is_apart) {
        VEC_RESERVE(&f->medium, f->image.cap);
        append(&f->medium, f->image.at, f->image.n);
        take_back(f, &f->medium);
        f->is_apart = true;
    }
    for (size_t i = 0; i < f->pending.n; i++) {
        const struct pending *p = &f->pending.at[i];
        if (p->is_cut || chance_below(&d->random, 2)) {
            land(f, p, p->n);
        } else {
            d->dropped++;
        }
    }
    forget_pending(f);
}

static int op_sync(sqlite3_file *base, int flags)
{
    struct open_file *o = open_of(base);
    int rc = before(o->disk, false);
    (void)flags;
    if (rc != SQLITE_OK) {
        if (!o->disk->stopped) {
            sync_in_part(o->disk, o->file);
        }
        return SQLITE_IOERR_FSYNC;
    }
    struct disk_file *f = o->file;
    if (!o->disk->lies) {
        for (size_t i = 0; f->is_apart && i < f->pending.n; i++) {
            land(f, &f->pending.at[i], f->pending.at[i].n);
        }
        forget_pending(f);
    }
    return SQLITE_OK;
}

/* ---- the others ---- */

static int op_close(sqlite3_file *base)
{
    struct open_file *o = open_of(base);
    o->file->is_open = false;
    if (o->delete_on_close) {
        file_remove(o->file);
    }
    return SQLITE_OK;
}

static int op_read(sqlite3_file *base, void *to, int n, sqlite3_int64 at)
{
    const struct open_file *o = open_of(base);
    size_t size = o->file->image.n, from = (size_t)at;
    size_t have = from < size ? size - from : 0;
    have = have < (size_t)n ? have : (size_t)n;
    if (have > 0) {
        memcpy(to, o->file->image.at + from, have);
    }
    if (have < (size_t)n) {
        memset((char *)to + have, 0, (size_t)n - have);
    }
    return have == (size_t)n ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int op_size(sqlite3_file *base, sqlite3_int64 *ret)
{
    *ret = (sqlite3_int64)open_of(base)->file->image.n;
    return SQLITE_OK;
}

static int op_lock(sqlite3_file *base, int level)
{
    (void)base, (void)level;
    return SQLITE_OK;
}

static int op_reserved(sqlite3_file *base, int *ret)
{
    (void)base;
    *ret = 0;
    return SQLITE_OK;
}

static int op_control(sqlite3_file *base, int op, void *arg)
{
    (void)arg;
    if (op == STORE_SQLITE_FORGET) {
        show_medium(open_of(base)->file);
        return SQLITE_OK;
    }
    return SQLITE_NOTFOUND;
}

static int op_sector(sqlite3_file *base)
{
    (void)base;
    return SECTOR_BYTES;
}

/* As on Linux: a torn write harms nothing beside what it writes. */
static int op_traits(sqlite3_file *base)
{
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {.iVersion = 1,
                                           .xClose = op_close,
                                           .xRead = op_read,
                                           .xWrite = op_write,
                                           .xTruncate = op_truncate,
                                           .xSync = op_sync,
                                           .xFileSize = op_size,
                                           .xLock = op_lock,
                                           .xUnlock = op_lock,
                                           .xCheckReservedLock = op_reserved,
                                           .xFileControl = op_control,
                                           .xSectorSize = op_sector,
                                           .xDeviceCharacteristics = op_traits};

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *ret)
{
    struct sim_disk *d = vfs->pAppData;
    struct open_file *o = open_of(base);
    char made_up[PATH_BYTES];
    *o = (struct open_file){.disk = d, .delete_on_close = flags & SQLITE_OPEN_DELETEONCLOSE};
    if (!path) {
        (void)snprintf(made_up, sizeof made_up, "temporary-%llx",
                       (unsigned long long)chance_below(&d->random, UINT64_MAX));
        path = made_up;
    }
    o->file = find(d, path);
    for (size_t i = 0; i < FILES_MAX && !o->file && (flags & SQLITE_OPEN_CREATE); i++) {
        if (!d->files[i].path[0]) {
            o->file = &d->files[i];
            (void)snprintf(o->file->path, sizeof o->file->path, "%s", path);
            VEC_RESERVE(&o->file->image, FILE_ROOM); /* growing by and by is copying */
            VEC_RESERVE(&o->file->kept, KEPT_ROOM);
        }
    }
    if (!o->file || o->file->is_open || d->stopped) {
        return SQLITE_CANTOPEN;
    }
    o->file->is_open = true;
    o->base.pMethods = &methods;
    if (ret) {
        *ret = flags;
    }
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
    struct sim_disk *d = vfs->pAppData;
    struct disk_file *f = find(d, path);
    (void)sync;
    if (before(d, false) != SQLITE_OK) {
        return SQLITE_IOERR_DELETE;
    }
    if (!f) {
        return SQLITE_IOERR_DELETE_NOENT;
    }
    file_remove(f);
    return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *ret)
{
    (void)flags;
    *ret = find(vfs->pAppData, path) != NULL;
    return SQLITE_OK;
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int n, char *ret)
{
    (void)vfs;
    (void)snprintf(ret, (size_t)n, "%s", path);
    return SQLITE_OK;
}

static int vfs_random(sqlite3_vfs *vfs, int n, char *ret)
{
    for (int i = 0; i < n; i++) {
        ret[i] = (char)chance_below(&((struct sim_disk *)vfs->pAppData)->random, 256);
    }
    return n;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    (void)vfs;
    return us;
}

static int vfs_time(sqlite3_vfs *vfs, double *ret)
{
    (void)vfs;
    *ret = 2461041.5; /* 2026-01-01: nothing of ours asks */
    return SQLITE_OK;
}

static int vfs_error(sqlite3_vfs *vfs, int n, char *ret)
{
    (void)vfs, (void)n, (void)ret;
    return 0;
}

/* ---- life ---- */

struct sim_disk *sim_disk_new(uint64_t seed, sim_disk_fail_fn *fail, void *data)
{
    struct sim_disk *d = MEM_NEW(struct sim_disk);
    d->random = seed;
    d->fail = fail;
    d->data = data;
    (void)snprintf(d->name, sizeof d->name, "sim-%p", (void *)d);
    d->vfs = (sqlite3_vfs){.iVersion = 1,
                           .szOsFile = sizeof(struct open_file),
                           .mxPathname = PATH_BYTES - 1,
                           .zName = d->name,
                           .pAppData = d,
                           .xOpen = vfs_open,
                           .xDelete = vfs_delete,
                           .xAccess = vfs_access,
                           .xFullPathname = vfs_full_path,
                           .xRandomness = vfs_random,
                           .xSleep = vfs_sleep,
                           .xCurrentTime = vfs_time,
                           .xGetLastError = vfs_error};
    store_sqlite_setup();
    int rc = sqlite3_vfs_register(&d->vfs, 0);
    assert(rc == SQLITE_OK);
    return d;
}

void sim_disk_free(struct sim_disk *d)
{
    if (!d) {
        return;
    }
    (void)sqlite3_vfs_unregister(&d->vfs);
    for (size_t i = 0; i < FILES_MAX; i++) {
        assert(!d->files[i].is_open);
        file_remove(&d->files[i]);
    }
    free(d);
}

const char *sim_disk_vfs(const struct sim_disk *d)
{
    return d->name;
}

void sim_disk_lie(struct sim_disk *d)
{
    d->lies = true;
}

void sim_disk_rot(struct sim_disk *d)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        struct disk_file *f = &d->files[i];
        assert(!f->is_open);
        if (!f->is_apart) {
            take_back(f, &f->image);
        }
        struct bytes *m = medium_of(f);
        for (size_t at = SECTOR_BYTES; at < m->n; at += SECTOR_BYTES / 4) {
            m->at[at] ^= 0x10;
        }
        forget_pending(f);
        show_medium(f);
    }
}

void sim_disk_stop(struct sim_disk *d, uint64_t after)
{
    d->stopping = true;
    d->left = after;
}

struct sim_disk_loss sim_disk_restart(struct sim_disk *d, bool power)
{
    struct sim_disk_loss loss = {.dropped = d->dropped};
    d->dropped = 0;
    for (size_t i = 0; i < FILES_MAX; i++) {
        assert(!d->files[i].is_open);
        if (power && d->files[i].path[0]) {
            lose_power(d, &d->files[i], &loss);
        }
    }
    d->stopping = d->stopped = false;
    return loss;
}
