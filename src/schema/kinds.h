/* schema/kinds.h: names of the built-in kinds, so that code can say SCHEMA_KIND(Pod) without a
 * look-up. The objects are made by schemac from the `kind` rows of *.schema; a row without a line
 * here does not compile. */
#ifndef SCHEMA_KINDS_H
#define SCHEMA_KINDS_H

#include "schema/schema.h"

/* Address constant of a kind: const struct schema_kind *. */
#define SCHEMA_KIND(name) (&schema_kind_##name)

/* Served as resources. */
#define SCHEMA_KINDS_SERVED(X)                                                                     \
    X(ConfigMap)                                                                                   \
    X(ControllerRevision)                                                                          \
    X(DaemonSet)                                                                                   \
    X(Deployment)                                                                                  \
    X(EndpointSlice)                                                                               \
    X(Endpoints)                                                                                   \
    X(Event)                                                                                       \
    X(Lease)                                                                                       \
    X(Namespace)                                                                                   \
    X(Node)                                                                                        \
    X(PersistentVolume)                                                                            \
    X(PersistentVolumeClaim)                                                                       \
    X(Pod)                                                                                         \
    X(ReplicaSet)                                                                                  \
    X(Secret)                                                                                      \
    X(Service)                                                                                     \
    X(ServiceAccount)                                                                              \
    X(StatefulSet)                                                                                 \
    X(StorageClass)
/* Bodies of requests and replies only. */
#define SCHEMA_KINDS_BODIES(X)                                                                     \
    X(Binding)                                                                                     \
    X(DeleteOptions)                                                                               \
    X(Eviction)                                                                                    \
    X(PartialObjectMetadata)                                                                       \
    X(PartialObjectMetadataList)                                                                   \
    X(Scale)                                                                                       \
    X(Status)                                                                                      \
    X(Table)

#define X(name) extern const struct schema_kind schema_kind_##name;
SCHEMA_KINDS_SERVED(X)
SCHEMA_KINDS_BODIES(X)
#undef X

#endif
