{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{/*
What the operator may do in the namespaces that it watches: the same as config/rbac/role.yaml, and no verb that is not
used (e2e/tests/chart reads the API server's audit log).
*/}}
{{- define "sealwatch.rules" -}}
# Made for each distinct image that runs, removed some minutes after it no longer does.
- apiGroups: [sealwatch.dev]
  resources: [imageverifications]
  verbs: [list, watch, create, delete]
- apiGroups: [sealwatch.dev]
  resources: [trustpolicies]
  verbs: [list, watch]
- apiGroups: [sealwatch.dev]
  resources: [imageverifications/status, trustpolicies/status]
  verbs: [patch]
# What runs.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
# Certificates of trust stores, and revocation lists.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
# Pull secrets: by name only, so that no other Secret is ever seen.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
# Changes of verdicts are told as events; a repeated one is counted in the first.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* What it may do beside that where it watches all namespaces: what belongs to none. */}}
{{- define "sealwatch.clusterRules" -}}
# The operating system and architecture of each node, for digestMatching: FollowIndex.
- apiGroups: [""]
  resources: [nodes]
  verbs: [list, watch]
# Certificates of trust stores that are the cluster's; asked for once a trust policy names some.
- apiGroups: [certificates.k8s.io]
  resources: [clustertrustbundles]
  verbs: [list, watch]
{{- end -}}
