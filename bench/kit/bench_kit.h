/* bench/kit/bench_kit.h: what the benchmark programs share that measure a running server from
 * outside: their loop with its patience, one connection for one call after the other, and the
 * lines "name value" of which bench/run makes its table. */
#ifndef BENCH_KIT_BENCH_KIT_H
#define BENCH_KIT_BENCH_KIT_H

#include "base/arena.h"
#include "base/strbuf.h"
#include "env/env.h"
#include "test/kit/https_kit.h"

struct bench {
    struct env *env;
    struct arena *a; /* as long as the program */
    struct https_kit kit;
    int64_t patience_ms; /* so long a wait may take, or the program ends */
    struct env_timer patience, pause;
    /* Of bench_call. */
    struct https_conn *conn;
    bool conn_ready;
    int status;
    struct strbuf body;
};

/* For a server on 127.0.0.1 whose certificates lie in DATA_DIR; ignores SIGPIPE. */
void bench_init(struct bench *b, const char *data_dir, uint16_t port, int64_t patience_ms);
/* The same over the server's socket in DATA_DIR, without certificates. */
void bench_init_socket(struct bench *b, const char *data_dir, int64_t patience_ms);

/* Ends the program with a sentence. */
_Noreturn void bench_die(const char *what, struct span why);
/* A number of the command line, or the end of the program. */
size_t bench_number(const char *text);
/* A port, likewise. */
uint16_t bench_port(const char *text);

/* Prints the line "name value". */
void bench_figure(double value, const char *name, ...) __attribute__((format(printf, 2, 3)));
/* The quantile q (0 to 1) of n times, in milliseconds. Sorts them. */
double bench_quantile_ms(int64_t *ns, size_t n, double q);
/* Milliseconds since a reading of env_mono_ns. */
double bench_since_ms(const struct bench *b, int64_t start_ns);
/* Processor time of all threads of a process so far, in microseconds. */
double bench_process_us(struct bench *b, const char *pid);

/* Runs the loop until a callback calls bench_stop. */
void bench_run(struct bench *b);
void bench_stop(struct bench *b);
/* Runs the loop for so long. */
void bench_sleep(struct bench *b, int64_t ms);

/* One call after the other, on a connection that is made when there is none. content_type NULL:
 * JSON where there is a body. Returns the status, or a negative errno when there is no connection;
 * the reply's body is in b->body until the next call. */
int bench_try_call(struct bench *b, const char *method, const char *path, const char *content_type,
                   struct span body);
/* The same; another status than the expected one ends the program. Returns the reply's body. */
struct span bench_call(struct bench *b, int status, const char *method, const char *path,
                       const char *content_type, struct span body);

/* For a handler's on_fail: ends the program; data is not looked at. */
void bench_on_fail(void *data, int code);
/* For a watch's on_reply: ends the program, for it is not to end. */
void bench_on_watch_end(void *data, int status, struct span body);

#endif
