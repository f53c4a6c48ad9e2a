// Every method of the newest Azure SDK for JavaScript that runs on Node 20:  node newest.mjs
import { EnvironmentCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
import { everyMethod } from './every_method.mjs';

await everyMethod(new SecretClient(process.env.VESTAL_VAULT_URL, new EnvironmentCredential()));
