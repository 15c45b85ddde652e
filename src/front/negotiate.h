/* front/negotiate.h: which form of an answer a client asked for. JSON always, YAML but for
 * watches, and protobuf for objects, lists and watches;
 * Tables, partial metadata and aggregated discovery when the Accept header names them before plain
 * JSON. Tables and discovery have no protobuf form: a client that asks for one gets the next form
 * that it names. */
#ifndef FRONT_NEGOTIATE_H
#define FRONT_NEGOTIATE_H

#include <stdbool.h>

#include "base/span.h"

enum api_form {
    FORM_JSON,
    FORM_TABLE,
    FORM_PARTIAL,   /* PartialObjectMetadata(List) */
    FORM_DISCOVERY, /* APIGroupDiscoveryList */
};

struct api_accept {
    enum api_form form;
    const char *version;      /* of the form: "v1", "v1beta1", "v2", "v2beta1" */
    const char *content_type; /* exact, parameters included for discovery */
    bool protobuf;
    bool is_list; /* of FORM_PARTIAL: PartialObjectMetadataList */
};

#define API_YAML "application/yaml"

/* What there is to choose from beside plain JSON, YAML and protobuf. */
enum api_forms {
    FORMS_OBJECT,    /* tables and partial metadata */
    FORMS_DISCOVERY, /* aggregated discovery; no protobuf */
    FORMS_NONE,      /* answers that are no resources: reviews */
};

/* The acceptable entry of the highest weight (q), the first of those. False: nothing acceptable
 * (406). An empty header accepts JSON. */
bool api_negotiate(struct span accept, enum api_forms forms, struct api_accept *ret);

#endif
