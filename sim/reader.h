/* sim/reader.h: a client that lists and watches all pods over HTTP, as client-go's reflector does:
 * it goes on from the last revision that it was told, by an event or a bookmark, when its watch
 * times out, breaks or the server restarts, and lists again when that is too old. It breaks off,
 * falls behind and sleeps now and then.
 *
 * Checker: http-watch. Events come in order, each of an object that was there, or was not, as the
 * event has it; what it knows is what a list of that revision says, before each event, whenever a
 * watch ends or a bookmark comes; "too old" is only what the server may forget. At rest it knows
 * what is there. */
#ifndef SIM_READER_H
#define SIM_READER_H

#include <stdint.h>

struct platform;
struct reader;

struct reader *reader_new(struct platform *w, uint64_t seed);
void reader_free(struct reader *r);
/* The server is up, or about to be freed: the reader has its HTTP end. */
void reader_server_starts(struct reader *r);
void reader_server_dies(struct reader *r);
/* Something goes wrong with it, by chance. */
void reader_act(struct reader *r);
/* Nothing goes wrong any more. */
void reader_wakes(struct reader *r);
/* NULL: at rest; else what is not. */
const char *reader_at_rest(struct reader *r);

#endif
