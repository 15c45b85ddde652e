/* controller/gc_controller.h: the garbage collector: deletes what no owner keeps alive, and carries
 * out the propagation policies (background, foreground, orphan). It watches every kind that can be
 * listed, watched and deleted, Events excepted; work follows what changes. */
#ifndef CONTROLLER_GC_CONTROLLER_H
#define CONTROLLER_GC_CONTROLLER_H

#include "client/informer_set.h"

struct gc_controller;

struct gc_controller *gc_controller_new(struct env *env, struct client *client,
                                        struct informer_set *informers);
void gc_controller_start(struct gc_controller *c);
void gc_controller_free(struct gc_controller *c);

#endif
