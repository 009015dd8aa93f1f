package fakeaws

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// imdsVersions are the names before meta-data and dynamic in a path: all but "latest" are of one content here,
// as they mostly are on an instance.
func imdsVersions() []string {
	return []string{
		"1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
		"2009-04-04", "2011-01-01", "2011-05-01", "2012-01-12", "2014-02-25", "2014-11-05", "2015-10-20", "2016-04-19",
		"2016-06-30", "2016-09-02", "2018-03-28", "2018-08-17", "2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03",
		"2021-03-23", "2021-07-15", "2022-09-24", "2024-04-11", "latest",
	}
}

// MetadataHandler answers as the instance metadata service does on its own address: besides what is below
// /latest/ of Handler it knows the versions' names, the list of them at "/", and nothing of another service.
func (s *Server) MetadataHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "EC2ws")
		s.serveBy(w, r, s.routeMetadata)
	})
}

func (s *Server) routeMetadata(c *call) handler {
	path := "/" + strings.TrimLeft(c.r.URL.Path, "/")
	version, rest, _ := strings.Cut(path[1:], "/")
	switch {
	case path == "/":
	case version == "latest" || !slices.Contains(imdsVersions(), version):
	case rest == "api" || strings.HasPrefix(rest, "api/"): // tokens came with "latest" and stand nowhere else
		path = "/" + version + "/none"
	default:
		path = "/latest/" + rest
	}
	return s.routeIMDS(c, path)
}

// ContainerHandler answers GETs of the paths with container credentials of the role arn, and 404 elsewhere.
func (s *Server) ContainerHandler(arn string, paths ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serveBy(w, r, func(c *call) handler {
			c.kind, c.op = shapeContainer, "container:other"
			if !slices.Contains(paths, r.URL.Path) {
				return func(c *call) reply {
					return c.errorReply(http.StatusNotFound, "NotFound", "no such credentials")
				}
			}
			c.op, c.role, c.name = "container:credentials", arn, roleName(arn)
			return s.containerCredentials
		})
	})
}

// partitionOf is the partition of a region, and the domain of its services.
func partitionOf(region string) (partition, domain string) {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn", "amazonaws.com.cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov", "amazonaws.com"
	}
	return "aws", "amazonaws.com"
}

// imdsTree is the operation at a path without a slash at its end, and its text: of a leaf, or the list of a
// directory. "": there is nothing, as at security-credentials-extended, which no SDK falls back from but on 404.
func (s *Server) imdsTree(path, role string) (op, text string) {
	partition, domain := partitionOf(s.cfg.Region)
	switch strings.TrimPrefix(path, "/latest/meta-data/") {
	case "placement/region":
		return "imds:region", s.cfg.Region
	case "placement/availability-zone":
		return "imds:availability-zone", s.cfg.Region + "a"
	case "placement/availability-zone-id":
		return "imds:metadata", "fake1-az1"
	case "instance-id":
		return "imds:instance-id", imdsInstance
	case "services/domain":
		return "imds:metadata", domain
	case "services/partition":
		return "imds:metadata", partition
	case "ami-id":
		return "imds:metadata", "ami-0fa4e0fa4e0fa4e0f"
	case "instance-type":
		return "imds:metadata", "t3.micro"
	case "local-ipv4":
		return "imds:metadata", "10.0.0.10"
	case "local-hostname", "hostname":
		return "imds:metadata", "ip-10-0-0-10." + s.cfg.Region + ".compute.internal"
	case "iam/info":
		return "imds:iam-info", s.imdsInfo(role)
	}
	iam := ""
	if role != "" {
		iam = "iam/\n"
	}
	switch path {
	case "", "/": // only on the metadata service's own address
		return "imds:listing", strings.Join(imdsVersions(), "\n")
	case "/latest":
		return "imds:listing", "dynamic\nmeta-data"
	case "/latest/dynamic":
		return "imds:listing", "instance-identity/"
	case "/latest/dynamic/instance-identity":
		return "imds:listing", "document"
	case "/latest/meta-data":
		return "imds:listing", "ami-id\nhostname\n" + iam + "instance-id\ninstance-type\nlocal-hostname\nlocal-ipv4\nplacement/\nservices/"
	case "/latest/meta-data/iam":
		if role != "" {
			return "imds:listing", "info\nsecurity-credentials/"
		}
	case "/latest/meta-data/placement":
		return "imds:listing", "availability-zone\navailability-zone-id\nregion"
	case "/latest/meta-data/services":
		return "imds:listing", "domain\npartition"
	}
	return "imds:other", ""
}

// imdsInfo is the document of the instance profile; "" without a role.
func (s *Server) imdsInfo(role string) string {
	a, ok := parseRoleARN(role)
	if !ok {
		return ""
	}
	rep := jsonReply(http.StatusOK, map[string]string{
		"Code": "Success", "LastUpdated": s.now().UTC().Format(awsTime),
		"InstanceProfileArn": "arn:" + a.partition + ":iam::" + a.account + ":instance-profile/" + a.name,
		"InstanceProfileId":  stableID("AIPA", role),
	})
	return string(rep.body)
}

// imdsJSON is a document as the metadata service sends it: as plain text.
func imdsJSON(v any) reply {
	rep := jsonReply(http.StatusOK, v)
	rep.header.Set("Content-Type", "text/plain")
	return rep
}

// imdsPage is the page of an error.
func imdsPage(status int) reply {
	text := fmt.Sprintf("%d - %s", status, http.StatusText(status))
	return newReply(status, "text/html", fmt.Appendf(nil, `<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
	"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>%s</title>
 </head>
 <body>
  <h1>%s</h1>
 </body>
</html>
`, text, text))
}

// RoleARN is the ARN of a role of Config.Account, in the partition of Config.Region.
func (s *Server) RoleARN(name string) string {
	partition, _ := partitionOf(s.cfg.Region)
	return "arn:" + partition + ":iam::" + s.cfg.Account + ":role/" + name
}
