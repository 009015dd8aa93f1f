package endpoint

import (
	"net/url"
	"slices"
	"strings"
)

// versions are the first parts of paths that EC2's metadata service knows: what
// GET / lists. Programs that probe for one (cloud-init) take a 404 for "not yet".
var versions = []string{
	"1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04",
	"2011-01-01", "2011-05-01", "2012-01-12", "2014-02-25", "2014-11-05", "2015-10-20", "2016-04-19", "2016-06-30", "2016-09-02",
	"2018-03-28", "2018-08-17", "2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03", "2021-03-23", "2021-07-15", "2022-07-09",
	"2022-09-24", "2024-04-11", "latest",
}

// roleDirectory is where the role's name is listed, and its credentials lie.
const roleDirectory = "meta-data/iam/security-credentials"

// directories and what GET of one answers: names one a line, a slash after
// those that are directories, and no newline at the end, as EC2 does it.
var directories = map[string]string{
	"":                          "dynamic\nmeta-data",
	"dynamic":                   "instance-identity/",
	"dynamic/instance-identity": "document",
	"meta-data":                 "iam/\ninstance-id\nplacement/\nservices/",
	"meta-data/iam":             "info\nsecurity-credentials/",
	"meta-data/placement":       "availability-zone\nregion",
	"meta-data/services":        "domain\npartition",
}

// versionList is the name of the item at the root.
const versionList = "versions"

// metadataTarget reads a path of the metadata service. Slashes before it count
// as one (Java sends two when its endpoint ends in one). A slash after it is no
// matter: botocore asks for placement/availability-zone/, and C++ for the role
// without one; it is never redirected. The Name of a MetadataItem is the rest of
// its path, which is one of ours and has a slash at its end for a directory.
func metadataTarget(u *url.URL) Target {
	path := strings.TrimLeft(u.EscapedPath(), "/")
	if path == "" {
		return Target{MetadataItem, versionList}
	}
	version, rest, _ := strings.Cut(path, "/")
	if version != "latest" && !slices.Contains(versions, version) {
		return Target{}
	}
	if role, under := strings.CutPrefix(rest, roleDirectory+"/"); under && role != "" {
		name, err := url.PathUnescape(role) // PHP escapes what a role's name may hold
		if err != nil || strings.Contains(name, "/") {
			return Target{}
		}
		return Target{MetadataCredentials, name}
	}
	rest = strings.TrimSuffix(rest, "/")
	switch rest {
	case "api/token":
		return Target{Kind: MetadataToken}
	case roleDirectory:
		return Target{Kind: MetadataRole}
	case "meta-data/iam/info", "meta-data/instance-id", "meta-data/placement/availability-zone", "meta-data/placement/region",
		"meta-data/services/domain", "meta-data/services/partition", "dynamic/instance-identity/document":
		return Target{MetadataItem, rest}
	}
	if _, there := directories[rest]; there {
		return Target{MetadataItem, rest + "/"}
	}
	return Target{}
}
