/* kubelet/kubelet_env_priv.h: what a container finds when it starts: environment and command line.
 */
#ifndef KUBELET_KUBELET_ENV_PRIV_H
#define KUBELET_KUBELET_ENV_PRIV_H

#include "kubelet/kubelet_priv.h"

struct kubelet_env_result {
    struct span *env, *args;
    size_t env_count, arg_count;
    struct span cwd, user;
    struct span reason,
        message; /* not empty: it cannot be started: CreateContainerConfigError and why */
};
/* image NULL: only checks that every reference is there. */
void kubelet_env_build(struct kubelet_pod *pod, const yyjson_val *container,
                       const struct image_config *image, struct arena *a,
                       struct kubelet_env_result *ret);
/* The rule runAsNonRoot alone, by the user of an image that is here: adds its reason and message.
 */
void kubelet_env_check_user(struct kubelet_pod *pod, const yyjson_val *container,
                            const struct image_config *image, struct arena *a,
                            struct kubelet_env_result *ret);
/* The text of a resourceFieldRef of `container` (may be NULL: the reference names one); false: no
 * such container or resource. */
bool kubelet_resource_value(struct kubelet_pod *pod, const yyjson_val *container,
                            const yyjson_val *ref, struct arena *a, struct span *ret);
/* $(NAME) expansion as Kubernetes does it: $$ is $, unknown names stay as they are. env holds
 * "NAME=value". ret_missing (may be NULL): the last unknown name, or empty. */
struct span kubelet_env_expand(struct arena *a, struct span text, const struct span *env, size_t n,
                               struct span *ret_missing);
/* Value of a downward API path ("metadata.name", "metadata.labels['x']"); false: not supported. */
bool kubelet_field_value(struct kubelet_pod *pod, struct arena *a, struct span path,
                         struct span *ret);

#endif
