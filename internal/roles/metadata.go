package roles

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// metadataStep sets the instance's metadata options, where they are others.
func (a *Account) metadataStep(i instance, w InstanceWanted) (Step, bool) {
	in := &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: aws.String(i.id)}
	back := &ec2.ModifyInstanceMetadataOptionsInput{InstanceId: aws.String(i.id)}
	var words []string
	hops, tokens, on := metadataOf(i)
	if w.HopLimit != 0 && w.HopLimit != hops {
		in.HttpPutResponseHopLimit, back.HttpPutResponseHopLimit = aws.Int32(int32(w.HopLimit)), aws.Int32(int32(hops))
		words = append(words, fmt.Sprintf("hop limit %d (was %d)", w.HopLimit, hops))
	}
	if w.Tokens != "" && w.Tokens != tokens {
		in.HttpTokens, back.HttpTokens = types.HttpTokensState(w.Tokens), types.HttpTokensState(tokens)
		words = append(words, "IMDS tokens "+w.Tokens+" (were "+tokens+")")
	}
	if len(words) == 0 {
		return Step{}, false
	}
	if !on { // what is set would have no effect, and the role would not arrive
		in.HttpEndpoint, back.HttpEndpoint = types.InstanceMetadataEndpointStateEnabled, types.InstanceMetadataEndpointStateDisabled
		words = append(words, "switched on")
	}
	need := may("ec2:ModifyInstanceMetadataOptions", a.instanceARN(i.id))
	return Step{Text: fmt.Sprintf("set the metadata options of %s: %s", i, strings.Join(words, ", ")), Action: "ec2:ModifyInstanceMetadataOptions",
		Input: in, needs: []Permission{need},
		undo: fixed(undoing("set the metadata options of "+i.String()+" back", "ec2:ModifyInstanceMetadataOptions", back, need))}, true
}

// metadataOf is the hop limit, whether tokens are required or optional, and
// whether the service is on. An instance that tells nothing has AWS's defaults.
func metadataOf(i instance) (hops int, tokens string, on bool) {
	hops, tokens, on = 1, "optional", true
	if m := i.metadata; m != nil {
		hops = int(aws.ToInt32(m.HttpPutResponseHopLimit))
		tokens = string(m.HttpTokens)
		on = m.HttpEndpoint != types.InstanceMetadataEndpointStateDisabled
	}
	return hops, tokens, on
}

// noteMetadata tells of options that keep credentials away.
func noteMetadata(p *Plan, i instance, w InstanceWanted) {
	hops, _, on := metadataOf(i)
	if !on && w.HopLimit == 0 && w.Tokens == "" {
		p.note("the metadata service of %s is switched off, so no credentials arrive: switch it on with --metadata-tokens required", i)
	}
	if hops < 2 && w.HopLimit == 0 {
		p.note("the metadata service of %s answers over %d hop: for containers on it set --metadata-hop-limit 2", i, hops)
	}
}
