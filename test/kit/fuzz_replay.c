/* test/kit/fuzz_replay.c: runs a fuzz target as an ordinary test, without libFuzzer: every file of
 * test/fuzz/corpus/NAME, then seeded mutations of them for a bounded time. NAME is the program's
 * own. The target runs in a child; the input that it is at lies in shared memory, so that whatever
 * ends the child, the parent can save it (beside the program, as NAME.crash). */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { INPUT_MAX = 65536, CORPUS_MAX = 512, MUTATIONS = 500, MUTATE_MS = 3000, TIMEOUT_S = 120 };

struct input {
    size_t n;
    uint8_t bytes[INPUT_MAX];
};

static struct input *corpus[CORPUS_MAX];
static size_t corpus_n;
static uint64_t state;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* By name: a seed means the same mutations everywhere. */
static void load(const char *dir)
{
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/%s", dir, entries[i]->d_name);
        FILE *f = entries[i]->d_name[0] != '.' && corpus_n < CORPUS_MAX ? fopen(path, "rb") : NULL;
        struct input *in = f ? calloc(1, sizeof *in) : NULL;
        if (in) {
            in->n = fread(in->bytes, 1, INPUT_MAX, f);
            corpus[corpus_n++] = in;
        }
        if (f) {
            (void)fclose(f);
        }
        free(entries[i]);
    }
    free(entries);
}

static void run(const struct input *in)
{
    /* A copy of exactly its size: reading past the end is seen. */
    uint8_t *copy = malloc(in->n ? in->n : 1);
    if (copy) {
        memcpy(copy, in->bytes, in->n);
        (void)LLVMFuzzerTestOneInput(copy, in->n);
    }
    free(copy);
}

/* One small change: a byte, a bit, a cut, a piece copied or taken from another input. */
static void mutate(struct input *in)
{
    const struct input *other = corpus[next_random() % corpus_n];
    size_t at = in->n ? next_random() % in->n : 0;
    size_t from = other->n ? next_random() % other->n : 0;
    size_t len = 1 + next_random() % 16;
    switch (next_random() % 6) {
    case 0:
        in->bytes[at] = (uint8_t)next_random();
        break;
    case 1:
        in->bytes[at] ^= (uint8_t)(1u << (next_random() % 8));
        break;
    case 2:
        in->n = at;
        break;
    case 3: /* take a piece out */
        len = len > in->n - at ? in->n - at : len;
        memmove(in->bytes + at, in->bytes + at + len, in->n - at - len);
        in->n -= len;
        break;
    case 4: /* put a piece of another in */
        len = len > other->n - from ? other->n - from : len;
        if (in->n + len <= INPUT_MAX) {
            memmove(in->bytes + at + len, in->bytes + at, in->n - at);
            memcpy(in->bytes + at, other->bytes + from, len);
            in->n += len;
        }
        break;
    default: /* an edge value */
        in->bytes[at] =
            (const uint8_t[]){0, 0xff, 0x7f, 0x80, '"', '\n', '{', ','}[next_random() % 8];
        break;
    }
}

static void run_all(struct input *at, bool mutations)
{
    int64_t end_ms = now_ms() + MUTATE_MS;
    for (size_t i = 0; !mutations && i < corpus_n; i++) {
        *at = *corpus[i];
        run(at);
    }
    for (size_t i = 0; mutations && i < MUTATIONS && now_ms() < end_ms; i++) {
        *at = *corpus[i % corpus_n];
        for (size_t n = 1 + next_random() % 4; n > 0; n--) {
            mutate(at);
        }
        run(at);
    }
}

static bool survives(const char *program, struct input *at, bool mutations)
{
    int status = 0;
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void)alarm(TIMEOUT_S);
        run_all(at, mutations);
        exit(0); /* not _exit: the leak checker runs at exit */
    }
    (void)waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return true;
    }
    char path[512];
    (void)snprintf(path, sizeof path, "%s.crash", program);
    FILE *f = fopen(path, "wb");
    if (f) {
        (void)fwrite(at->bytes, 1, at->n, f);
        (void)fclose(f);
    }
    printf("# the input is in %s\n", path);
    return false;
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
    const char *fixed = getenv("KIT_SEED");
    char dir[256];
    (void)snprintf(dir, sizeof dir, "test/fuzz/corpus/%s", argc > 1 ? argv[1] : name);
    load(dir);
    state = fixed ? strtoull(fixed, NULL, 10) : (uint64_t)time(NULL) * 2654435761u | 1;
    printf("# seed %llu, %zu inputs\n", (unsigned long long)state, corpus_n);
    struct input *at =
        mmap(NULL, sizeof *at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (corpus_n == 0 || at == MAP_FAILED) {
        printf("not ok 1 - fuzz %s: no corpus in %s\n1..1\n", name, dir);
        return 1;
    }
    bool replayed = survives(argv[0], at, false), mutated = replayed && survives(argv[0], at, true);
    printf("%sok 1 - fuzz %s: the corpus\n", replayed ? "" : "not ", name);
    printf("%sok 2 - fuzz %s: mutations of it\n1..2\n", mutated ? "" : "not ", name);
    return replayed && mutated ? 0 : 1;
}
