// Every method of an old Azure SDK for JavaScript, which asks for api-version 7.2:  node oldest.mjs
import { EnvironmentCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
import { everyMethod } from '../node/every_method.mjs';

await everyMethod(new SecretClient(process.env.VESTAL_VAULT_URL, new EnvironmentCredential()));
