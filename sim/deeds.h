/* sim/deeds.h: what a history is made of: what users ask for, what goes wrong, and what the
 * checkers got to see. Each is counted, so that one can see that it is really drawn and gets
 * through. */
#ifndef SIM_DEEDS_H
#define SIM_DEEDS_H

#include <stdint.h>

#define SIM_DEEDS(X)                                                                               \
    X(CREATE, "create the set")                                                                    \
    X(APPLY, "apply the set")                                                                      \
    X(DELETE_DEFAULT, "delete the set")                                                            \
    X(DELETE_BACKGROUND, "delete in the background")                                               \
    X(DELETE_FOREGROUND, "delete in the foreground")                                               \
    X(DELETE_ORPHAN, "delete orphaning")                                                           \
    X(SCALE, "scale")                                                                              \
    X(ROLL_OUT, "new template")                                                                    \
    X(RESTART, "rollout restart")                                                                  \
    X(WAIT, "rollout status, to its end")                                                          \
    X(UNDO, "rollout undo")                                                                        \
    X(STRATEGY, "update strategy")                                                                 \
    X(RETENTION, "retention policy")                                                               \
    X(START, "first ordinal")                                                                      \
    X(PAUSED, "note paused")                                                                       \
    X(RESERVED, "note reserve-ordinals")                                                           \
    X(DEADLINE, "note progress-deadline")                                                          \
    X(ROLLBACK, "note auto-rollback")                                                              \
    X(WINDOW, "note start-parallelism")                                                            \
    X(ORDER, "note update-order")                                                                  \
    X(DELETE_POD, "delete a pod")                                                                  \
    X(FORCE_POD, "delete a pod by force")                                                          \
    X(EVICT, "evict a pod")                                                                        \
    X(POD_LABELS, "edit a pod's labels")                                                           \
    X(POD_OWNERS, "edit a pod's owners")                                                           \
    X(PROMOTE, "label the primary")                                                                \
    X(DELETE_CLAIM, "delete a claim")                                                              \
    X(CLAIM_OWNERS, "edit a claim's owners")                                                       \
    X(CLAIM_SIZE, "ask for another size of a claim")                                               \
    X(CORDON, "cordon")                                                                            \
    X(UNCORDON, "uncordon")                                                                        \
    X(TAINT, "taint a node")                                                                       \
    X(UNTAINT, "take a taint away")                                                                \
    X(DELETE_NODE, "delete a node")                                                                \
    X(NEIGHBOUR_CREATE, "create a neighbour")                                                      \
    X(NEIGHBOUR_CHANGE, "change a neighbour")                                                      \
    X(NEIGHBOUR_DELETE, "delete a neighbour")                                                      \
    X(DEFINE, "define a kind")                                                                     \
    X(UNDEFINE, "delete a definition")                                                             \
    X(WIDGET, "an object of it")                                                                   \
    X(BUDGET, "make or delete the budget")                                                         \
    X(EDIT, "save an edited set")                                                                  \
    X(SCHEME_RETENTION, "scheme: retention switched")                                              \
    X(SCHEME_CLAIM, "scheme: claim under its pod")                                                 \
    X(RETAIN, "retain a volume")                                                                   \
    X(SCHEME_RETAIN, "scheme: data retained")                                                      \
    X(SCHEME_NODE, "scheme: node returns")                                                         \
    X(SCHEME_AGAIN, "scheme: deleted, made again")                                                 \
    X(SCHEME_CLOCK, "scheme: clock to and fro")                                                    \
    X(RESIZE, "resize a pod")                                                                      \
    X(SCHEME_RESIZE, "scheme: resize")                                                             \
    X(SERVICE, "a service")                                                                        \
    X(SPACE, "a second namespace")                                                                 \
    X(QUOTA, "a quota")                                                                            \
    X(CLASS, "a priority class")                                                                   \
    X(BIG, "a big pod")                                                                            \
    X(IMAGE, "change a pod's image")                                                               \
    X(SCHEME_IMAGE, "scheme: image, and kills")                                                    \
    X(SCHEME_DRAIN, "scheme: drain")                                                               \
    X(SCHEME_PRIMARY, "scheme: fail-over, roll-out")                                               \
    X(BAD_START, "template that cannot start")                                                     \
    X(BAD_CRASH, "template that crashes")                                                          \
    X(BAD_SLOW, "template that is slow")                                                           \
    X(BAD_UNREADY, "template never ready")                                                         \
    X(BAD_HANG, "template that hangs")                                                             \
    X(KILL_PROGRAM, "kill the program")                                                            \
    X(KILL_SERVER, "kill the server")                                                              \
    X(KILL_CONTROLLERS, "kill the controllers")                                                    \
    X(KILL_AGENT, "kill a node agent")                                                             \
    X(KILL_UNDER_REQUEST, "kill under a request")                                                  \
    X(AMBUSH, "kill in the act")                                                                   \
    X(MACHINE_DOWN, "machine goes down")                                                           \
    X(NODE_CUT, "node vanishes")                                                                   \
    X(CONTAINER_EXIT, "container ends")                                                            \
    X(CLOCK_FORWARD, "clock set forward")                                                          \
    X(CLOCK_BACK, "clock set back")                                                                \
    X(DISK_FULL, "disk full: writes failed")                                                       \
    X(DISK_ERROR, "disk error: writes failed")                                                     \
    X(TORN, "power cut: writes torn")                                                              \
    X(UNSYNCED, "power cut: writes lost")                                                          \
    X(DROPPED, "sync failed: writes dropped")                                                      \
    X(KILL_OPENING, "kill while the store opens")                                                  \
    X(FORGOTTEN, "watch from before the history")                                                  \
    X(REFUSED, "request refused")                                                                  \
    X(LOST_REPLY, "reply lost")                                                                    \
    X(ORPHAN, "request of a dead role")                                                            \
    X(LATE, "message late")                                                                        \
    X(BROKEN_OFF, "watch broken off")                                                              \
    X(LOST_EVENT, "wake-up lost")                                                                  \
    X(TWICE, "wake-up told twice")                                                                 \
    X(SLOW_WATCHER, "watcher that lags")                                                           \
    X(SAW_MAKE, "checked: pod made")                                                               \
    X(SAW_TAKE, "checked: pod taken")                                                              \
    X(SAW_STATUS, "checked: status")                                                               \
    X(SAW_EVICTION, "checked: eviction")                                                           \
    X(SAW_STUCK, "checked: stuck pod taken")                                                       \
    X(SAW_WINDOW, "checked: made beside another")                                                  \
    X(SAW_LAST, "checked: primary taken last")                                                     \
    X(SAW_ROLLBACK, "checked: rolled back")                                                        \
    X(SAW_PORT, "checked: host port")                                                              \
    X(SAW_APART, "checked: kept apart")                                                            \
    X(SAW_SPREAD, "checked: spread")                                                               \
    X(SAW_PREEMPTED, "checked: sent away")                                                         \
    X(SAW_KEPT, "checked: room kept")                                                              \
    X(SAW_QUOTA, "checked: within a quota")                                                        \
    X(SAW_QUOTA_WAIT, "checked: goes on with room")                                                \
    X(READ_LIST, "listed over HTTP")                                                               \
    X(READ_RESUMED, "watched over HTTP from a revision")                                           \
    X(READ_BOOKMARK, "bookmark over HTTP")                                                         \
    X(READ_EXPIRED, "revision too old over HTTP")

enum sim_deed {
#define X(id, name) SIM_DEED_##id,
    SIM_DEEDS(X)
#undef X
        SIM_DEED_COUNT
};

/* Requests: asked for, and done. Others: as often as they came. */
struct sim_deed_count {
    uint64_t asked, done;
};

const char *sim_deed_name(enum sim_deed deed);

#endif
