package linklocal

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
)

// facts are what this machine is, as far as it matters here.
type facts struct {
	cloud string // whose metadata service it has at Metadata; "": none is known
	task  bool   // a container of ECS
}

// machine looks at what the firmware says and at what ECS gives its containers.
// It asks no network.
func machine() facts {
	return facts{cloud: cloudOf(func(name string) string {
		b, err := os.ReadFile("/sys/class/dmi/id/" + name)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(b))
	}), task: os.Getenv("ECS_CONTAINER_METADATA_URI_V4") != "" || os.Getenv("ECS_CONTAINER_METADATA_URI") != ""}
}

// cloudOf names the cloud from the fields of the system's DMI table.
func cloudOf(field func(name string) string) string {
	vendor, product, chassis := field("sys_vendor"), field("product_name"), field("chassis_asset_tag")
	switch {
	case vendor == "Amazon EC2" || strings.HasSuffix(field("bios_version"), ".amazon"):
		return "EC2"
	case product == "Google Compute Engine":
		return "Google Cloud"
	case chassis == "7783-7084-3265-9085-8269-3286-77":
		return "Azure"
	case chassis == "OracleCloud.com":
		return "Oracle Cloud"
	case strings.HasPrefix(product, "OpenStack") || chassis == "OpenTelekomCloud":
		return "OpenStack"
	case vendor == "DigitalOcean", vendor == "Hetzner", vendor == "Alibaba Cloud", vendor == "Scaleway":
		return vendor
	}
	return ""
}

func all() []netip.Addr { return []netip.Addr{Metadata, Container, PodAddress} }

// what names what lives at an address elsewhere.
func what(a netip.Addr) string {
	switch a {
	case Metadata:
		return "the instance metadata service"
	case Container:
		return "the credentials service of ECS"
	}
	return "the credentials service of EKS"
}

func hides(a netip.Addr, how string) *Error {
	return &Error{Msg: fmt.Sprintf("%s %s: --link-local would hide %s from every program on this machine", a, how, what(a)), Hint: instead}
}
