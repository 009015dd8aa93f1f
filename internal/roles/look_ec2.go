package roles

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// instance is what matters here of an EC2 instance.
type instance struct {
	id, name, state string
	profileARN      string // of the profile that the instance shows; "" for none
	metadata        *types.InstanceMetadataOptionsResponse
}

// Words for a list: "i-1 (web-1)".
func (i instance) String() string {
	if i.name == "" {
		return i.id
	}
	return i.id + " (" + i.name + ")"
}

// usable says whether a role can be given to an instance in that state.
func (i instance) usable() bool {
	return slices.Contains([]string{"pending", "running", "stopping", "stopped"}, i.state)
}

func (i instance) stopped() bool { return i.state == "stopping" || i.state == "stopped" }

func instanceOf(i types.Instance) instance {
	out := instance{id: aws.ToString(i.InstanceId), metadata: i.MetadataOptions}
	if i.State != nil {
		out.state = string(i.State.Name)
	}
	if i.IamInstanceProfile != nil {
		out.profileARN = aws.ToString(i.IamInstanceProfile.Arn)
	}
	for _, t := range i.Tags {
		if aws.ToString(t.Key) == "Name" {
			out.name = aws.ToString(t.Value)
		}
	}
	return out
}

// describe asks for instances, all pages of them, in the order of their ids.
func (a *Account) describe(ctx context.Context, in *ec2.DescribeInstancesInput) (all []instance, err error) {
	a.reads.add(may("ec2:DescribeInstances", "*"))
	pages := ec2.NewDescribeInstancesPaginator(a.ec2, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				all = append(all, instanceOf(i))
			}
		}
	}
	slices.SortFunc(all, func(x, y instance) int { return compareText(x.id, y.id) })
	return all, nil
}

// Selection names instances: by id, or by the value of a tag, where * stands
// for anything. Every tag must hold; ids and tags exclude each other.
type Selection struct {
	IDs  []string
	Tags map[string]string
}

func (s Selection) String() string {
	if len(s.IDs) > 0 {
		return strings.Join(s.IDs, ", ")
	}
	var all []string
	for _, key := range sortedKeys(s.Tags) {
		all = append(all, "tag "+key+"="+s.Tags[key])
	}
	return strings.Join(all, ", ")
}

// CheckInstanceID refuses what is no instance's id.
func CheckInstanceID(id string) error {
	rest, ok := strings.CutPrefix(id, "i-")
	if ok && (len(rest) == 8 || len(rest) == 17) && strings.Trim(rest, "0123456789abcdef") == "" {
		return nil
	}
	return &Error{Msg: fmt.Sprintf("%q is not the id of an instance", id), Next: "ids look like i-0123456789abcdef0; for names use --tag Name=" + id}
}

// instances finds those of a selection. Each of the ids must be there and fit
// for a role; of a tag's, those that are gone or going are left out.
func (a *Account) instances(ctx context.Context, s Selection) ([]instance, error) {
	if err := a.needsRegion(); err != nil {
		return nil, err
	}
	if len(s.IDs) == 0 {
		return a.tagged(ctx, s)
	}
	ids := slices.Compact(slices.Sorted(slices.Values(s.IDs)))
	for _, id := range ids {
		if err := CheckInstanceID(id); err != nil {
			return nil, err
		}
	}
	all, err := a.describe(ctx, &ec2.DescribeInstancesInput{InstanceIds: ids})
	if missing(err) {
		return nil, &Error{Msg: fmt.Sprintf("there is no such instance in %s: %s", a.Region, oneLine(message(err))), Next: "name the region that it is in: --region REGION", Code: apiCode(err), Err: err}
	}
	if err != nil {
		return nil, a.failure("ec2:DescribeInstances", "", err)
	}
	for _, i := range all {
		if !i.usable() {
			return nil, &Error{Msg: fmt.Sprintf("the instance %s is %s: it takes no role any more", i, i.state), Next: "name an instance that runs or is stopped"}
		}
	}
	return all, nil
}

func (a *Account) tagged(ctx context.Context, s Selection) ([]instance, error) {
	in := &ec2.DescribeInstancesInput{Filters: []types.Filter{
		{Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "stopping", "stopped"}}}}
	for _, key := range sortedKeys(s.Tags) {
		in.Filters = append(in.Filters, types.Filter{Name: aws.String("tag:" + key), Values: []string{s.Tags[key]}})
	}
	all, err := a.describe(ctx, in)
	if err != nil {
		return nil, a.failure("ec2:DescribeInstances", "", err)
	}
	if len(all) == 0 {
		return nil, &Error{Msg: "no instance in " + a.Region + " has the " + s.String(), Next: "is it another region (--region), or another value? * stands for any text"}
	}
	return all, nil
}

// association is an instance profile's bond to an instance.
type association struct {
	id, instance, state string
	profileARN          string
}

// live says whether the association holds, or will.
func (s association) live() bool { return s.state == "associating" || s.state == "associated" }

// associations of instances (nil: of all in the region), all pages of them,
// :: instance id → those that are not over.
func (a *Account) associations(ctx context.Context, ids []string) (map[string][]association, error) {
	a.reads.add(may("ec2:DescribeIamInstanceProfileAssociations", "*"))
	found := map[string][]association{}
	inputs := []*ec2.DescribeIamInstanceProfileAssociationsInput{{}}
	if ids != nil {
		inputs = nil
	}
	for some := range slices.Chunk(ids, 200) { // values of a filter
		inputs = append(inputs, &ec2.DescribeIamInstanceProfileAssociationsInput{Filters: []types.Filter{{Name: aws.String("instance-id"), Values: some}}})
	}
	for _, in := range inputs {
		pages := ec2.NewDescribeIamInstanceProfileAssociationsPaginator(a.ec2, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, a.failure("ec2:DescribeIamInstanceProfileAssociations", "", err)
			}
			for _, s := range page.IamInstanceProfileAssociations {
				one := association{id: aws.ToString(s.AssociationId), instance: aws.ToString(s.InstanceId), state: string(s.State)}
				if s.IamInstanceProfile != nil {
					one.profileARN = aws.ToString(s.IamInstanceProfile.Arn)
				}
				if one.state != "disassociated" {
					found[one.instance] = append(found[one.instance], one)
				}
			}
		}
	}
	return found, nil
}

// current is the association that holds, or will; else one that is ending.
func current(all []association) (association, bool) {
	for _, s := range all {
		if s.live() {
			return s, true
		}
	}
	if len(all) > 0 {
		return all[0], true
	}
	return association{}, false
}

func idsOf(all []instance) []string {
	ids := make([]string, len(all))
	for i := range all {
		ids[i] = all[i].id
	}
	return ids
}
