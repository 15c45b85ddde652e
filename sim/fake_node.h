/* sim/fake_node.h: a node agent without containers, for controller tests: bound pods become Running
 * and Ready after `start_ms`, deleted ones are gone after `stop_ms`. */
#ifndef SIM_FAKE_NODE_H
#define SIM_FAKE_NODE_H

#include "client/client.h"

struct fake_node;

struct fake_node_options {
    int64_t start_ms, stop_ms;
    bool bind;        /* bind pods itself: no scheduler in this test */
    bool never_ready; /* Running only; the test makes them Ready */
};

struct fake_node *fake_node_new(struct client *c, const struct fake_node_options *options);
void fake_node_set(struct fake_node *n, const struct fake_node_options *options);
void fake_node_free(struct fake_node *n);

#endif
