// Made by `vestal export connector`. Make it again when the address of the vault or of the authority changes.
//
// A custom connector can't do the client credentials grant by itself, so this does it: the connection holds the client
// id and the client secret of an app of Vestal's, this exchanges them for a token of the authority, and sends that to
// the vault. The flow sees neither. Nothing is logged here, and nothing should be.
using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Threading.Tasks;
using Newtonsoft.Json.Linq;

public class Script : ScriptBase
{
    private const string TokenEndpoint = "https://login.example.com/adfs/oauth2/v2.0/token";
    private const string Scope = "https://vault.example.com/.default";

    public override async Task<HttpResponseMessage> ExecuteAsync()
    {
        HttpRequestMessage read = this.Context.Request;
        AuthenticationHeaderValue app = read.Headers.Authorization;
        if (app == null || !"Basic".Equals(app.Scheme, StringComparison.OrdinalIgnoreCase))
        {
            return new HttpResponseMessage(HttpStatusCode.Unauthorized)
            {
                Content = new StringContent("The connection has no client id and client secret: make it again."),
            };
        }

        var ask = new HttpRequestMessage(HttpMethod.Post, TokenEndpoint);
        ask.Headers.Authorization = app;
        ask.Content = new FormUrlEncodedContent(new Dictionary<string, string>
        {
            { "grant_type", "client_credentials" },
            { "scope", Scope },
        });
        HttpResponseMessage answer = await this.Context.SendAsync(ask, this.CancellationToken).ConfigureAwait(false);
        if (!answer.IsSuccessStatusCode)
        {
            return answer;
        }

        JObject body = JObject.Parse(await answer.Content.ReadAsStringAsync().ConfigureAwait(false));
        read.Headers.Authorization = new AuthenticationHeaderValue("Bearer", (string)body["access_token"]);
        return await this.Context.SendAsync(read, this.CancellationToken).ConfigureAwait(false);
    }
}
