package linklocal

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCloudOf(t *testing.T) {
	for want, table := range map[string]map[string]string{
		"EC2":          {"sys_vendor": "Amazon EC2"},
		"Google Cloud": {"sys_vendor": "Google", "product_name": "Google Compute Engine"},
		"Azure":        {"sys_vendor": "Microsoft Corporation", "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77"},
		"Oracle Cloud": {"chassis_asset_tag": "OracleCloud.com"},
		"OpenStack":    {"product_name": "OpenStack Nova"},
		"DigitalOcean": {"sys_vendor": "DigitalOcean"},
	} {
		if got := cloudOf(func(name string) string { return table[name] }); got != want {
			t.Errorf("%v: %q", table, got)
		}
	}
	if got := cloudOf(func(name string) string { return map[string]string{"bios_version": "4.11.amazon"}[name] }); got != "EC2" {
		t.Errorf("an instance on Xen: %q", got)
	}
	for _, table := range []map[string]string{{}, {"sys_vendor": "LENOVO"}, {"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine"}, {"sys_vendor": "Google", "product_name": "Pixelbook"}} {
		if got := cloudOf(func(name string) string { return table[name] }); got != "" {
			t.Errorf("%v: %q", table, got)
		}
	}
}

// answerOf is a message as the kernel sends it.
func answerOf(kind uint16, seq uint32, body []byte) []byte {
	order := binary.NativeEndian
	b := make([]byte, unix.NLMSG_HDRLEN)
	order.PutUint32(b, uint32(unix.NLMSG_HDRLEN+len(body)))
	order.PutUint16(b[4:], kind)
	order.PutUint32(b[8:], seq)
	return append(b, body...)
}

func TestParseAddress(t *testing.T) {
	good := answerOf(unix.RTM_NEWADDR, 7, addressBody(Metadata, 1))
	list, done, err := parseMessages(append(good[:len(good):len(good)], answerOf(unix.NLMSG_DONE, 7, make([]byte, 4))...), 7)
	if err != nil || !done || len(list) != 1 {
		t.Fatalf("%v, %v, %v", list, done, err)
	}
	if a, ok := parseAddress(list[0]); !ok || a.addr != Metadata || !a.ours(1) || a.ours(2) {
		t.Errorf("%+v, %v", a, ok)
	}
	if list, _, _ := parseMessages(good, 8); len(list) != 0 {
		t.Errorf("the answer to another question: %v", list)
	}
	refused := make([]byte, 4)
	code := int32(unix.EPERM)
	binary.NativeEndian.PutUint32(refused, uint32(-code))
	if _, done, err := parseMessages(answerOf(unix.NLMSG_ERROR, 7, refused), 7); !done || err == nil {
		t.Errorf("EPERM: %v, %v", done, err)
	}
}

func FuzzNetlink(f *testing.F) {
	f.Add(answerOf(unix.RTM_NEWADDR, 7, addressBody(Metadata, 1)))
	f.Add(answerOf(unix.NLMSG_ERROR, 7, []byte{1}))
	f.Add(answerOf(unix.NLMSG_DONE, 7, nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _, _ := parseMessages(b, 7)
		for _, m := range list {
			if a, ok := parseAddress(m); ok && !a.addr.Is4() {
				t.Errorf("%x: %v", b, a)
			}
		}
	})
}
