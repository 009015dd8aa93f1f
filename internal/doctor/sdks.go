package doctor

// SDKs are the SDKs that doctor knows, each with its default chain and the
// current major version's rules.
func SDKs() []SDK {
	keys, identity := Link{Kind: KindKeys}, Link{Kind: KindIdentity}
	container, imds := Link{Kind: KindContainer}, Link{Kind: KindIMDS}
	profile := func(ways ...Way) Link { return Link{KindProfile, ways} }
	usual := []string{"AWS_PROFILE"}
	return []SDK{
		{
			Name: "PHP", Words: []string{"php", "php-fpm", "php-cgi", "laravel", "artisan"},
			// Container or IMDS, never both; a missing profile is no error.
			Chain:    []Link{keys, identity, profile(WaySSO, WayKeys, WayRole, WayIdentity, WayProcess), container, imds},
			Profiles: usual,
			Hosts:    Hosts{IPv4Loopback, Resolved, true}, ModeExact: true, LocalIMDS: true,
			ContainerTimeout: "1 s in all", IMDSTimeout: "1 s",
		},
		{
			Name: "Python/CLI", Words: []string{"python", "python3", "boto", "boto3", "botocore", "aws", "cli"},
			Chain: []Link{keys, profile(WayRole), identity, profile(WayIdentity, WaySSO, WayKeys, WayLogin, WayProcess), container, imds},
			// botocore looks at AWS_DEFAULT_PROFILE first.
			Profiles: []string{"AWS_DEFAULT_PROFILE", "AWS_PROFILE"},
			HalfKeys: true, Missing: Fatal, StrictFiles: true, NoRole: Stop, NoFile: Stop,
			EmptyIsSet: true, Hosts: Hosts{AllLoopback, Localhost, true}, ModeChecked: true,
			Proxied: []Kind{KindIMDS}, PlainNoProxy: true,
			ContainerTimeout: "2 s", IMDSTimeout: "1 s",
		},
		{
			Name: "JavaScript", Words: []string{"javascript", "js", "node", "nodejs", "deno", "bun"},
			Chain:    []Link{keys, profile(WayRole, WayIdentity, WayKeys, WayProcess, WaySSO, WayLogin), identity, container, imds},
			Profiles: usual, ProfileFirst: true, NoFile: Stop,
			Hosts: Hosts{AllLoopback, Localhost, true}, Disabled: NotFalse, ModeExact: true,
			ContainerTimeout: "1 s", IMDSTimeout: "1 s",
		},
		{
			Name: "Go", Words: []string{"go", "golang", "terraform"},
			Chain:    []Link{keys, identity, profile(WayRole, WayKeys, WayIdentity, WaySSO, WayLogin, WayProcess), container, imds},
			Profiles: []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"},
			Missing:  Fatal, NoRole: Stop, NoFile: Stop,
			Hosts: Hosts{AllLoopback, Resolved, true}, Proxied: []Kind{KindContainer, KindIMDS},
			ContainerTimeout: "none", IMDSTimeout: "500 ms for the answer's header",
		},
		{
			Name: "Java", Words: []string{"java", "kotlin", "scala"},
			Chain:    []Link{keys, identity, profile(WayRole, WayIdentity, WaySSO, WayLogin, WayKeys, WayProcess), container, imds},
			Profiles: usual, TokenFirst: true, AfterContainer: true,
			// fd00:ec2::23 only with AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6.
			Hosts:            Hosts{AllLoopback, Resolved, false},
			ContainerTimeout: "1 s", IMDSTimeout: "1 s",
		},
		{
			Name: "Ruby", Words: []string{"ruby", "rails", "puma"},
			Chain:    []Link{keys, identity, profile(WaySSO, WayRole, WayIdentity, WayKeys, WayLogin, WayProcess), container, imds},
			Profiles: usual, NoFile: Stop,
			EmptyIsSet: true, Newline: Trimmed, Hosts: Hosts{AllLoopback, Resolved, true},
			ContainerTimeout: "5 s", IMDSTimeout: "1 s",
		},
		{
			Name: ".NET", Words: []string{"dotnet", "net", "csharp", "powershell"},
			// V4. V3 looks at the profile, even [default], before the keys.
			Chain:    []Link{keys, identity, profile(WayRole, WayIdentity, WaySSO, WayLogin, WayKeys, WayProcess), container, imds},
			Profiles: usual, Hosts: Hosts{AllLoopback, Localhost, true},
			ContainerTimeout: "not known", IMDSTimeout: "not known",
		},
		{
			Name: "Rust", Words: []string{"rust"},
			Chain:    []Link{keys, profile(WayRole, WayIdentity, WaySSO, WayLogin, WayKeys, WayProcess), identity, container, imds},
			Profiles: usual, Missing: Stop, NoFile: Stop,
			EmptyIsSet: true, Hosts: Hosts{AllLoopback, Resolved, true}, NoV1: true,
			ContainerTimeout: "2 s to connect, 5 s to read", IMDSTimeout: "1 s",
		},
		{
			Name: "C++", Words: []string{"c++", "cpp", "cxx"},
			// No role_arn in the default chain; nothing of it stops the chain.
			Chain:            []Link{keys, profile(WayKeys, WayProcess), identity, profile(WaySSO), container, imds},
			Profiles:         []string{"AWS_PROFILE", "AWS_DEFAULT_PROFILE"},
			Hosts:            Hosts{FirstBlock, Resolved, true},
			ContainerTimeout: "as the client's", IMDSTimeout: "1 s",
		},
	}
}
