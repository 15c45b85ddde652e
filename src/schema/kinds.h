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
    X(APIService)                                                                                  \
    X(Binding)                                                                                     \
    X(CSIDriver)                                                                                   \
    X(CSINode)                                                                                     \
    X(CSIStorageCapacity)                                                                          \
    X(CertificateSigningRequest)                                                                   \
    X(ClusterRole)                                                                                 \
    X(ClusterRoleBinding)                                                                          \
    X(ConfigMap)                                                                                   \
    X(ControllerRevision)                                                                          \
    X(CronJob)                                                                                     \
    X(CustomResourceDefinition)                                                                    \
    X(DaemonSet)                                                                                   \
    X(Deployment)                                                                                  \
    X(EndpointSlice)                                                                               \
    X(Endpoints)                                                                                   \
    X(Event)                                                                                       \
    X(EventsEvent)                                                                                 \
    X(ComponentStatus)                                                                             \
    X(FlowSchema)                                                                                  \
    X(HorizontalPodAutoscaler)                                                                     \
    X(HorizontalPodAutoscalerV1)                                                                   \
    X(IPAddress)                                                                                   \
    X(Ingress)                                                                                     \
    X(IngressClass)                                                                                \
    X(Job)                                                                                         \
    X(Lease)                                                                                       \
    X(LimitRange)                                                                                  \
    X(LocalSubjectAccessReview)                                                                    \
    X(MutatingAdmissionPolicy)                                                                     \
    X(MutatingAdmissionPolicyBinding)                                                              \
    X(MutatingWebhookConfiguration)                                                                \
    X(Namespace)                                                                                   \
    X(NetworkPolicy)                                                                               \
    X(Node)                                                                                        \
    X(NodeMetrics)                                                                                 \
    X(PersistentVolume)                                                                            \
    X(PersistentVolumeClaim)                                                                       \
    X(Pod)                                                                                         \
    X(PodDisruptionBudget)                                                                         \
    X(PodMetrics)                                                                                  \
    X(PodTemplate)                                                                                 \
    X(PriorityClass)                                                                               \
    X(PriorityLevelConfiguration)                                                                  \
    X(ReplicaSet)                                                                                  \
    X(ReplicationController)                                                                       \
    X(ResourceQuota)                                                                               \
    X(Role)                                                                                        \
    X(RoleBinding)                                                                                 \
    X(RuntimeClass)                                                                                \
    X(Secret)                                                                                      \
    X(SelfSubjectAccessReview)                                                                     \
    X(SelfSubjectReview)                                                                           \
    X(SelfSubjectRulesReview)                                                                      \
    X(Service)                                                                                     \
    X(ServiceAccount)                                                                              \
    X(ServiceCIDR)                                                                                 \
    X(StatefulSet)                                                                                 \
    X(StorageClass)                                                                                \
    X(SubjectAccessReview)                                                                         \
    X(TokenReview)                                                                                 \
    X(ValidatingAdmissionPolicy)                                                                   \
    X(ValidatingAdmissionPolicyBinding)                                                            \
    X(ValidatingWebhookConfiguration)                                                              \
    X(VolumeAttachment)                                                                            \
    X(VolumeAttributesClass)
/* Bodies of requests and replies only. */
#define SCHEMA_KINDS_BODIES(X)                                                                     \
    X(DeleteOptions)                                                                               \
    X(Eviction)                                                                                    \
    X(PartialObjectMetadata)                                                                       \
    X(PartialObjectMetadataList)                                                                   \
    X(Scale)                                                                                       \
    X(Status)                                                                                      \
    X(Table)                                                                                       \
    X(TokenRequest)

#define X(name) extern const struct schema_kind schema_kind_##name;
SCHEMA_KINDS_SERVED(X)
SCHEMA_KINDS_BODIES(X)
#undef X

#endif
