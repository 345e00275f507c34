{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{/* Rules about two values at once, which a schema can't say in words. Included where every installation passes. */}}
{{- define "sealwatch.checks" -}}
{{- with .Values -}}
{{- if and .registries.config .registries.existingSecret -}}
{{- fail "registries.config and registries.existingSecret are both given: give one of them" -}}
{{- end -}}
{{- if and .registries.disableDefaultEndpoint (not (or .registries.config .registries.existingSecret)) -}}
{{- fail "registries.disableDefaultEndpoint needs mirrors: give registries.config or registries.existingSecret" -}}
{{- end -}}
{{- if and .proxy.existingSecret (or .proxy.http .proxy.https .proxy.exclude) -}}
{{- fail "proxy.existingSecret is given beside proxy.http, proxy.https or proxy.exclude: give the Secret or the values" -}}
{{- end -}}
{{- if and .certificateAuthorities.pem .certificateAuthorities.existingConfigMap -}}
{{- fail "certificateAuthorities.pem and certificateAuthorities.existingConfigMap are both given: give one of them" -}}
{{- end -}}
{{- if and .azure.workloadIdentity.enabled (not .azure.workloadIdentity.clientId) -}}
{{- fail "azure.workloadIdentity.enabled needs azure.workloadIdentity.clientId: the client id of the managed identity" -}}
{{- end -}}
{{- if and .azure.workloadIdentity.registries (not .azure.workloadIdentity.enabled) -}}
{{- fail "azure.workloadIdentity.registries has no effect without azure.workloadIdentity.enabled" -}}
{{- end -}}
{{- if and .cache.create .cache.existingClaim -}}
{{- fail "cache.create and cache.existingClaim are both given: give one of them" -}}
{{- end -}}
{{- if and (gt (int .replicas) 1) (or .cache.create .cache.existingClaim) -}}
{{- fail "cache.create and cache.existingClaim are for one operator: set replicas to 1, or leave them out" -}}
{{- end -}}
{{- if and (not .cache.enabled) (or .cache.create .cache.existingClaim) -}}
{{- fail "cache.create and cache.existingClaim have no effect without cache.enabled" -}}
{{- end -}}
{{- if and (not .serviceAccount.create) (not .serviceAccount.name) -}}
{{- fail "serviceAccount.create is false, so serviceAccount.name has to name an existing service account" -}}
{{- end -}}
{{- end -}}
{{- end -}}
