package fakeaws_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sso"

	"rolecall/internal/fakeaws"
)

func TestPortal(t *testing.T) {
	clock := newClock()
	s := start(t, fakeaws.Config{Now: clock.now, SSOPageSize: 2})
	ctx := within(t, 10*time.Second)
	s.AddSSOToken("in", clock.now().Add(time.Minute))
	for i := range 5 {
		s.AddSSOAccount(fakeaws.SSOAccount{ID: fmt.Sprintf("00000000000%d", i), Name: "Account", Roles: []string{"A", "B", "C"}})
	}
	client, token := portal(s), str("in")
	var accounts, roles int
	for p := sso.NewListAccountsPaginator(client, &sso.ListAccountsInput{AccessToken: token}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		accounts += len(page.AccountList)
	}
	for p := sso.NewListAccountRolesPaginator(client, &sso.ListAccountRolesInput{AccessToken: token, AccountId: str("000000000003")}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		roles += len(page.RoleList)
	}
	if accounts != 5 || roles != 3 || s.Calls("sso:ListAccounts") != 3 || s.Calls("sso:ListAccountRoles") != 2 {
		t.Errorf("%d accounts in %d calls, %d roles in %d", accounts, s.Calls("sso:ListAccounts"), roles, s.Calls("sso:ListAccountRoles"))
	}
	out, err := client.GetRoleCredentials(ctx, &sso.GetRoleCredentialsInput{AccessToken: token, AccountId: str("000000000003"), RoleName: str("B")})
	if err != nil {
		t.Fatal(err)
	}
	c := out.RoleCredentials
	if left := time.UnixMilli(c.Expiration).Sub(clock.now()); left < 59*time.Minute || left > time.Hour {
		t.Errorf("lives for %v", left)
	}
	me, err := stsWith(s, *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken).GetCallerIdentity(ctx, nil)
	if err != nil || *me.Account != "000000000003" {
		t.Errorf("%v, %v", me, err)
	}
	for _, bad := range []*sso.GetRoleCredentialsInput{
		{AccessToken: token, AccountId: str("000000000003"), RoleName: str("D")},
		{AccessToken: token, AccountId: str("000000000009"), RoleName: str("A")},
	} {
		_, err = client.GetRoleCredentials(ctx, bad)
		wantCode(t, err, "ForbiddenException")
	}
	_, err = client.ListAccounts(ctx, &sso.ListAccountsInput{AccessToken: token, NextToken: str("???")})
	wantCode(t, err, "InvalidRequestException")
	_, err = client.ListAccounts(ctx, &sso.ListAccountsInput{AccessToken: str("unknown")})
	wantCode(t, err, "UnauthorizedException")
	clock.add(time.Minute)
	_, err = client.ListAccounts(ctx, &sso.ListAccountsInput{AccessToken: token})
	wantCode(t, err, "UnauthorizedException")
	s.AddSSOToken("in", clock.now().Add(time.Minute))
	_, err = client.Logout(ctx, &sso.LogoutInput{AccessToken: token})
	wantCode(t, err, "")
	_, err = client.Logout(ctx, &sso.LogoutInput{AccessToken: token})
	wantCode(t, err, "UnauthorizedException")
}
