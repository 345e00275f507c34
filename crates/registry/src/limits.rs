// SPDX-License-Identifier: Apache-2.0
//! Every bound that this crate puts on what others send, in one place, each with its source.
//!
//! Sizes are bytes, times are durations, everything else is a count.

use std::time::Duration;

/// Largest manifest or image index that is read. Source: `maxManifestSizeLimit` of notation-go and
/// `MaxMetadataBytes` of oras-go.
pub const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;
/// Largest blob (signature envelope) that is read. Source: `maxBlobSizeLimit` of notation-go.
pub const MAX_BLOB_BYTES: u64 = 32 * 1024 * 1024;
/// Largest answer of a token server. Ours; half of what oras-go reads, and real tokens stay below 8 KiB.
pub const MAX_TOKEN_RESPONSE_BYTES: u64 = 64 * 1024;
/// Longest token that is put into a header. Ours; common servers accept header lines of 8 to 32 KiB.
pub const MAX_TOKEN_BYTES: usize = 32 * 1024;
/// Longest error body that is read to find its error code. Ours.
pub const MAX_ERROR_BODY_BYTES: u64 = 64 * 1024;
/// Errors of one error body that are looked at. Ours; registries send one.
pub const MAX_ERRORS: usize = 8;
/// Parameters of one `WWW-Authenticate` header that are looked at. Ours; registries send four.
pub const MAX_CHALLENGE_PARAMETERS: usize = 32;
/// Longest `WWW-Authenticate`, `Link` or `Location` header that is parsed. Ours.
pub const MAX_HEADER_BYTES: usize = 8 * 1024;
/// Largest header list of one answer, counted as HTTP/2 does: names, values, and 32 bytes for each. Ours; real ones have
/// 1 KiB.
pub const MAX_HEADER_LIST_BYTES: u32 = 64 * 1024;
/// Header lines of one answer over HTTP/1.1. Source: the default of hyper.
pub const MAX_HEADER_LINES: usize = 100;
/// Bytes that one HTTP/2 stream may send ahead of what was read. Ours: they lie in memory beside the body that is read,
/// so the window is as small as [`FREE_BODY_BYTES`].
pub const HTTP2_STREAM_WINDOW: u32 = 32 * 1024;
/// Bytes that all HTTP/2 streams of one connection may send ahead. Ours: a window for each of the streams that
/// [`MAX_REQUESTS_PER_HOST`] allows, so that one that is not read holds up no other.
pub const HTTP2_CONNECTION_WINDOW: u32 = 512 * 1024;
/// Pages of one referrers list. Ours: 10 pages hold every list that also keeps the bound of descriptors.
pub const MAX_REFERRER_PAGES: usize = 10;
/// Descriptors of one referrers list, before it is filtered. Ours.
pub const MAX_REFERRER_DESCRIPTORS: usize = 1_000;
/// Signatures of one artifact that are looked at, after filtering. Source: the default of `notation verify
/// --max-signatures`. The adapters list more; the verifier chooses which.
pub const MAX_CANDIDATES: usize = 100;
/// Descriptors of an image index that is followed to its manifests. Ours; the largest official images have about 30.
pub const MAX_INDEX_CHILDREN: usize = 100;
/// Bytes of the manifests of one index that are read to find a configuration. Ours; each takes some kilobytes.
pub const MAX_FOLLOWED_BYTES: u64 = 16 * 1024 * 1024;
/// Longest operating system or architecture that is read. Ours; `dragonfly` and `mips64le` are the longest of Go.
pub const MAX_PLATFORM_BYTES: usize = 31;
/// Redirects that one request follows. Ours; registries need one, to their blob storage.
pub const MAX_REDIRECTS: usize = 3;
/// Credentials that are tried for one repository. Ours.
pub const MAX_CREDENTIALS_TRIED: usize = 8;
/// Entries of one `.dockerconfigjson`, `.dockercfg` or `registries.yaml`. Ours.
pub const MAX_CONFIG_ENTRIES: usize = 1_024;
/// Largest `.dockerconfigjson`, `.dockercfg` or `registries.yaml`. Source: a Kubernetes Secret holds at most 1 MiB.
pub const MAX_CONFIG_BYTES: usize = 1024 * 1024;
/// Different `tls` settings of one `registries.yaml`; each has HTTP clients of its own. Ours.
pub const MAX_TLS_SETTINGS: usize = 32;
/// Addresses of one name that are considered. Ours.
pub const MAX_ADDRESSES: usize = 32;
/// Tokens and other remembered facts of each kind. Ours; a namespace holds some tens of repositories.
pub const MAX_REMEMBERED: usize = 4_096;
/// Lists of referrers of which it is remembered where they were. Ours; about 1 KiB each.
pub const MAX_LISTS_REMEMBERED: usize = 16_384;
/// Lists of referrers that are kept with their `ETag`. Ours: with the next bound, 64 MiB of the most hostile ones.
pub const MAX_LISTS_KEPT: usize = 4_096;
/// Largest answer of which the list is kept with its `ETag`. Ours; a signature takes 400 bytes in it.
pub const MAX_KEPT_LIST_BYTES: usize = 16 * 1024;
/// Longest `ETag` that is sent back. Ours; registries use a digest in quotes.
pub const MAX_ETAG_BYTES: usize = 256;
/// Annotations of one descriptor or manifest. Ours; Notation writes two.
pub const MAX_ANNOTATIONS: usize = 64;
/// Bytes of one annotation's key or value. Ours; a thumbprint list of ten certificates takes 700.
pub const MAX_ANNOTATION_BYTES: usize = 8 * 1024;
/// Longest media type. Source: RFC 6838, section 4.2: 127 characters on either side of the slash.
pub const MAX_MEDIA_TYPE_BYTES: usize = 255;
/// Longest path of a repository. Source: `RepositoryNameTotalLengthMax` of distribution/reference.
pub const MAX_REPOSITORY_PATH_BYTES: usize = 255;
/// Longest host name, without the port. Source: RFC 1035, section 2.3.4.
pub const MAX_HOST_BYTES: usize = 253;
/// Longest tag. Source: OCI distribution specification 1.1, "Pulling manifests".
pub const MAX_TAG_BYTES: usize = 128;
/// Characters of a digest's encoded part in the tag of its referrers. Source: OCI distribution specification 1.1,
/// "Referrers Tag Schema".
pub const MAX_TAG_ENCODED_CHARS: usize = 64;
/// Longest image reference or image id that is looked at. Ours: the parts' bounds, and room for a scheme.
pub const MAX_REFERENCE_BYTES: usize = 1_024;
/// Characters of text from elsewhere that go into a message. Ours.
pub const MAX_QUOTED_CHARS: usize = 256;
/// How long an image is asked about where its signatures were found, before all places are tried again. Ours.
pub const FIRST_LOOK_AGAIN_AFTER: Duration = Duration::from_hours(24);
/// How long "this registry has no Referrers API" is believed. Ours.
pub const REFERRERS_API_ABSENT_FOR: Duration = Duration::from_hours(24);
/// Life of a token whose answer does not say. Source: the distribution project's token specification.
pub const DEFAULT_TOKEN_LIFE: Duration = Duration::from_mins(1);
/// How long before its end a token is no longer used. Ours: a request that starts with it must also end with it.
pub const TOKEN_MARGIN: Duration = Duration::from_secs(5);
/// Longest time that a token is used, whatever its answer says. Ours.
pub const MAX_TOKEN_LIFE: Duration = Duration::from_hours(1);
/// How long it is believed that a registry does not take the operator's cloud identity. Ours.
pub const CLOUD_REFUSAL_LIFE: Duration = Duration::from_mins(10);
/// Longest `Retry-After` that is passed on. Ours.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);
/// How long a registry that throttles without saying for how long is left alone, doubling each time. Ours.
pub const THROTTLE_FIRST: Duration = Duration::from_secs(1);
/// The longest such pause. Ours; that of the back-off of one image.
pub const THROTTLE_MOST: Duration = Duration::from_mins(15);
/// How long a host that does not answer is left alone, doubling each time. Ours.
pub const SILENCE_FIRST: Duration = Duration::from_secs(1);
/// The longest such pause. Ours: short, because it is for all images of the host, and each has its own back-off.
pub const SILENCE_MOST: Duration = Duration::from_secs(30);
/// Requests to one host at once, in the whole process. Ours.
pub const MAX_REQUESTS_PER_HOST: usize = 16;
/// The least time between two requests to one host, once its burst is used up: 50 a second. Source: the 3,000 read
/// operations a minute that the documentation of Azure Container Registry gives for its tier Standard.
pub const REQUEST_SPACING: Duration = Duration::from_millis(20);
/// Requests to one host that come without that spacing after a quiet time. Ours: the first look at 50 images.
pub const REQUEST_BURST: u32 = 200;
/// Between two who were turned away and come back. Ours: ten a second.
pub const TURN_SPACING: Duration = Duration::from_millis(100);
/// Time to open a connection, TLS included. Ours.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection that nobody uses is kept. Ours: the requests of one look come within it, and a peer that floods
/// it has no longer to do so.
pub const IDLE_CONNECTION_LIFE: Duration = Duration::from_secs(10);
/// Time between two pieces of a body. Ours.
pub const READ_TIMEOUT: Duration = Duration::from_secs(15);
/// Each stretch of [`LEAST_PROGRESS_TIME`] has to bring so many bytes of a body, or its end. Ours: 200 bytes a second,
/// which the worst radio link has.
pub const LEAST_PROGRESS_BYTES: usize = 1_024;
/// See [`LEAST_PROGRESS_BYTES`].
pub const LEAST_PROGRESS_TIME: Duration = Duration::from_secs(5);
/// Bytes of a body that take no room from the budget of [`MAX_LARGE_BODY_BYTES`]. Ours; the largest envelope seen has 11
/// KiB, and a list of 80 signatures 32.
pub const FREE_BODY_BYTES: usize = 32 * 1024;
/// Bytes that are set aside for a body before its first one came. Ours.
pub const FIRST_BODY_BYTES: usize = 16 * 1024;
/// Bytes of larger bodies that are under way at once in the whole process. Ours: one blob of the largest size and one
/// manifest; with 400 small ones and their windows ([`HTTP2_STREAM_WINDOW`]) beside them, all stays below 64 MiB.
pub const MAX_LARGE_BODY_BYTES: usize = 36 * 1024 * 1024;
/// Time for one request, its redirects and its body. Ours.
pub const TOTAL_TIMEOUT: Duration = Duration::from_mins(1);
/// Bytes of answers to [`crate::PlainFetcher`] that may be on their way at once. Ours: two of the largest revocation
/// lists; who finds no room waits, within its time limit.
pub const MAX_PLAIN_BYTES_IN_FLIGHT: u32 = 64 * 1024 * 1024;
/// Requests of one [`crate::PlainFetcher`] at once. Ours.
pub const MAX_PLAIN_REQUESTS: usize = 32;
/// How often the index of referrers is read and written by who pushes, if somebody else writes it too. Ours.
pub const INDEX_ATTEMPTS: usize = 5;
/// Largest `oci-layout` file. Ours; it holds one version number.
pub const MAX_LAYOUT_FILE_BYTES: u64 = 4 * 1024;
