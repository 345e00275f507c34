// SPDX-License-Identifier: Apache-2.0

// Package oracle is the second opinion of the conformance tests: what notation-go says about a signature, with policy,
// trust stores and revocation answers as given, and nothing asked of any network.
package oracle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/notaryproject/notation-core-go/revocation"
	"github.com/notaryproject/notation-core-go/revocation/crl"
	"github.com/notaryproject/notation-core-go/revocation/purpose"
	// Register the two formats of envelopes.
	_ "github.com/notaryproject/notation-core-go/signature/cose"
	_ "github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/dir"
	"github.com/notaryproject/notation-go/verifier"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	"github.com/notaryproject/notation-go/verifier/truststore"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Case is one question. Bytes are base64 in JSON.
type Case struct {
	ID        uint64    `json:"id"`
	Now       time.Time `json:"now"`
	MediaType string    `json:"mediaType"`
	Envelope  []byte    `json:"envelope"`
	Policy    []byte    `json:"policy"`
	Stores    []Store   `json:"stores"`
	// Repository is the artifact's reference without digest: it selects the statement.
	Repository string  `json:"repository"`
	Subject    Subject `json:"subject"`
	// OCSP and CRL are what is at a URL; all others answer 404.
	OCSP []Answer `json:"ocsp"`
	CRL  []Answer `json:"crl"`
}

// Store is a directory of trusted certificates.
type Store struct {
	Type  string   `json:"type"`
	Name  string   `json:"name"`
	Files [][]byte `json:"files"`
}

// Subject is the descriptor of the artifact.
type Subject struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// Answer is the body of a response.
type Answer struct {
	URL  string `json:"url"`
	Body []byte `json:"body"`
}

// Opinion is what notation-go says.
type Opinion struct {
	ID uint64 `json:"id"`
	// End is where it ended: "policy" (the document is refused), "statement" (none applies), "skipped", "failed" or
	// "verified".
	End string `json:"end"`
	// Error says why; empty if skipped or verified.
	Error string `json:"error,omitempty"`
	// Panic is set if notation-go panicked, which counts as failed.
	Panic bool `json:"panic,omitempty"`
	// Checks are the results in the order in which notation-go came to them.
	Checks []Check `json:"checks,omitempty"`
}

// Check is one validation; Error is empty if it passed.
type Check struct {
	Type   string `json:"type"`
	Action string `json:"action"`
	Error  string `json:"error,omitempty"`
}

// Stores keeps trust stores as files below a folder, each set of them once.
type Stores struct {
	root string
	made map[string]string
}

// NewStores keeps trust stores below root.
func NewStores(root string) *Stores {
	return &Stores{root: root, made: map[string]string{}}
}

// Folder returns the configuration folder that has these stores.
func (s *Stores) Folder(stores []Store) (string, error) {
	text, err := json.Marshal(stores)
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256(text)
	name := hex.EncodeToString(hash[:8])
	if folder, ok := s.made[name]; ok {
		return folder, nil
	}
	folder := filepath.Join(s.root, name)
	for _, store := range stores {
		if store.Name == ".." || strings.ContainsAny(store.Type+store.Name, "/\x00") {
			return "", fmt.Errorf("no trust store can be kept as %s:%s", store.Type, store.Name)
		}
		path := filepath.Join(folder, dir.TrustStoreDir, "x509", store.Type, store.Name)
		if err := os.MkdirAll(path, 0o700); err != nil {
			return "", err
		}
		for index, file := range store.Files {
			if err := os.WriteFile(filepath.Join(path, fmt.Sprintf("%04d.crt", index)), file, 0o600); err != nil {
				return "", err
			}
		}
	}
	s.made[name] = folder
	return folder, nil
}

// Judge asks notation-go. The time is the caller's: notation-go takes it from the clock.
func Judge(c *Case, folder string) (opinion Opinion) {
	opinion.ID = c.ID
	defer func() {
		if cause := recover(); cause != nil {
			opinion.End, opinion.Error, opinion.Panic = "failed", fmt.Sprint("panic: ", cause), true
		}
	}()
	document := &trustpolicy.Document{}
	// As trustpolicy.LoadDocument reads a file.
	if err := json.NewDecoder(bytes.NewReader(c.Policy)).Decode(document); err != nil {
		return opinion.end("policy", err)
	}
	if err := document.Validate(); err != nil {
		return opinion.end("policy", err)
	}
	v, err := newVerifier(c, document, folder)
	if err != nil {
		return opinion.end("policy", err)
	}
	subject := ocispec.Descriptor{
		MediaType: c.Subject.MediaType, Digest: digest.Digest(c.Subject.Digest), Size: c.Subject.Size,
	}
	options := notation.VerifierVerifyOptions{
		ArtifactReference:  c.Repository + "@" + c.Subject.Digest,
		SignatureMediaType: c.MediaType,
	}
	outcome, err := v.Verify(context.Background(), subject, c.Envelope, options)
	if outcome != nil {
		for _, result := range outcome.VerificationResults {
			check := Check{Type: string(result.Type), Action: string(result.Action)}
			if result.Error != nil {
				check.Error = message(result.Error)
			}
			opinion.Checks = append(opinion.Checks, check)
		}
	}
	var none notation.ErrorNoApplicableTrustPolicy
	switch {
	case errors.As(err, &none):
		return opinion.end("statement", err)
	case err != nil:
		return opinion.end("failed", err)
	case outcome.VerificationLevel.Name == trustpolicy.LevelSkip.Name:
		return opinion.end("skipped", nil)
	default:
		return opinion.end("verified", nil)
	}
}

func (o Opinion) end(end string, err error) Opinion {
	o.End = end
	if err != nil {
		o.Error = message(err)
	}
	return o
}

// An error without text is one all the same.
func message(err error) string {
	if text := err.Error(); text != "" {
		return text
	}
	return fmt.Sprintf("%T", err)
}

func newVerifier(c *Case, document *trustpolicy.Document, folder string) (notation.Verifier, error) {
	signing, err := newValidator(c, purpose.CodeSigning)
	if err != nil {
		return nil, err
	}
	timestamping, err := newValidator(c, purpose.Timestamping)
	if err != nil {
		return nil, err
	}
	return verifier.NewWithOptions(document, truststore.NewX509TrustStore(dir.NewSysFS(folder)), nil,
		verifier.VerifierOptions{
			RevocationCodeSigningValidator:  signing,
			RevocationTimestampingValidator: timestamping,
		})
}

func newValidator(c *Case, purpose purpose.Purpose) (revocation.Validator, error) {
	fetcher, err := crl.NewHTTPFetcher(&http.Client{Transport: canned{find: func(address string) ([]byte, bool) {
		for _, answer := range c.CRL {
			if normal(answer.URL) == address {
				return answer.Body, true
			}
		}
		return nil, false
	}}})
	if err != nil {
		return nil, err
	}
	responders := &http.Client{Transport: canned{find: func(address string) ([]byte, bool) {
		for _, answer := range c.OCSP {
			// A GET has the question behind the URL.
			at := normal(answer.URL)
			if address == at || strings.HasPrefix(address, strings.TrimSuffix(at, "/")+"/") {
				return answer.Body, true
			}
		}
		return nil, false
	}}}
	return revocation.NewWithOptions(revocation.Options{
		OCSPHTTPClient: responders, CRLFetcher: fetcher, CertChainPurpose: purpose,
	})
}

// normal spells a URL as clients ask for it.
func normal(text string) string {
	if parsed, err := url.Parse(text); err == nil {
		return parsed.String()
	}
	return text
}

// canned answers requests without a network.
type canned struct {
	find func(address string) ([]byte, bool)
}

// RoundTrip implements http.RoundTripper.
func (t canned) RoundTrip(request *http.Request) (*http.Response, error) {
	status := http.StatusOK
	body, found := t.find(request.URL.String())
	if !found {
		status = http.StatusNotFound
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		Request: request,
	}, nil
}
