import { expect, test } from 'vitest'
import { readConfigText } from '../../broker/config-file.ts'
import { settingAt, settingPaths } from '../../broker/config-table.ts'

test('docs/configuration.md says what the table of settings says (vitest -u writes it anew)', async () => {
  await expect(toMarkdown()).toMatchFileSnapshot('../../docs/configuration.md')
})

test('the examples of docs/configuration.md are good', () => {
  const examples = [...toMarkdown().matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml = '']) => yaml)
  expect(examples).toHaveLength(4)
  for (const yaml of examples) expect(readConfigText(yaml, 'example').faults).toEqual([])
})

function toMarkdown(): string {
  const rows = settingPaths.map((path) => {
    const { env, kind, doc } = settingAt(path)
    return `| \`${path}\` | \`${env}\` | ${kind.name} | ${defaultOf(path)} | ${doc} |`
  })
  return `# Configuration

Settings come from a YAML file (\`--config FILE\`, else \`clearbox.yaml\` in the working directory when it is there) and from
the environment, which wins. In the file a key such as \`mqtt.port\` is \`port\` in the section \`mqtt\`. An empty value counts
as unset. Relative paths start at the working directory. Port \`0\` lets the system choose; the log of the start tells the
real ports. Unknown keys and bad values are all reported at once, with their line and column, and nothing starts.

| Key | Environment | Value | Default | Meaning |
|---|---|---|---|---|
${rows.join('\n')}

\`\`\`yaml
domain: chat.example.org
dataDir: /var/lib/clearbox
bind: 0.0.0.0
mqtt:
  port: 1883
  anonymous: off
tls:
  cert: /etc/clearbox/fullchain.pem
  key: /etc/clearbox/privkey.pem
\`\`\`

## Rules of plain topics

\`acl\` is a list of rules. The first rule that speaks of the client, the action and the topic decides; behind the last one
accounts that an administrator has made may use all plain topics, those that registered themselves none, anonymous clients all.
They hold for MQTT, for Wills and for \`POST /v1/publish\`. Chat (\`u/\`, \`g/\`, \`cb/\`) and \`$SYS\` have rules of their own.

\`\`\`yaml
acl:
  - allow: both
    role: admin
    topics: '#'
  - allow: publish # sensor-1, sensor-2 … of the account "plant" to their own topics
    user: plant
    client: sensor-*
    topics: [sensors/%c/#, alarms/%c]
  - deny: subscribe
    anonymous: on
    topics: [sensors/+/raw]
  - allow: subscribe
    topics: [sensors/#, weather/#]
  - allow: both # each account its own corner
    topics: home/%u/#
  - deny: both # whatever no rule allows
    topics: '#'
\`\`\`

| Key | Value |
|---|---|
| \`allow\`, \`deny\` | one of the two: \`publish\`, \`subscribe\` or \`both\` |
| \`topics\` | one filter or a list; \`%u\` stands for the name of the account, \`%c\` for the client id |
| \`user\` | the account, or a list |
| \`role\` | \`admin\`, \`moderator\`, \`user\`, or a list; accounts only |
| \`client\` | a client id, or a list, with \`*\` for any characters. Clients choose it: name the \`user\` too. REST has none |
| \`anonymous\` | \`on\`: clients without a user name; \`off\`: accounts |

- All that a rule says of the client must be so; a rule that says nothing of it speaks of everyone, administrators too.
- A filter may be subscribed when the rules allow *every* topic that it matches: with the rules above \`#\` and \`sensors/#\` are
  refused to anonymous clients, for they would show \`sensors/1/raw\`; \`sensors/+/temperature\` is granted. A rule that denies
  takes away what no rule before it has allowed.
- A name with \`/\`, \`+\` or \`#\`, or that is missing, is never put for \`%u\` and \`%c\`: the rule then allows nothing, and
  one that denies takes the level as \`+\`.
- \`kill -HUP\` reads the configuration again and takes the rules over, nothing else of it; with a fault in it the old rules stay, and
  the log has every fault. Who has lost a right loses the subscription within a second and finds that on \`u/{me}/err\`.

A token of \`auth.jwt\` may have a claim \`acl\` in one of EMQX's forms; the login is then bound by it and by the rules, whichever is
narrower. In the first form all that is not named is denied, in the second the first rule that fits decides, and without one the
token says nothing:

\`\`\`json
{ "pub": ["sensors/\${clientid}/#"], "sub": ["weather/#"], "all": ["home/\${username}/#"] }
[{ "permission": "deny", "action": "publish", "topic": "sensors/#" }]
\`\`\`

A rule that allows under further conditions (\`qos\`, \`retain\`, \`ipaddr\` …) counts for nothing, one that denies counts without them.

Refused are: PUBACK and SUBACK 0x87, a Will in CONNACK; on MQTT 3.1.1 SUBACK 0x80, and for a publish, which that protocol must
acknowledge, an item on \`u/{me}/err\`; REST answers 403.

## More listeners

Beside the fixed ports \`listeners\` names others for MQTT. They are read at the start only.

\`\`\`yaml
listeners:
  - name: machines # behind HAProxy or a load balancer
    protocol: mqtt
    bind: 10.0.0.7
    port: 8884
    tls: { cert: /etc/clearbox/machines.pem, key: /etc/clearbox/machines.key }
    proxyProtocol: { from: [10.0.0.0/24] }
    maxConnections: 5000
  - name: local # mosquitto_pub --unix /run/clearbox/mqtt.sock
    protocol: mqtt
    path: /run/clearbox/mqtt.sock
    mode: '660'
    anonymous: on
\`\`\`

| Key | Value |
|---|---|
| \`name\` | how the log of the start calls it |
| \`protocol\` | \`mqtt\` |
| \`port\`, \`bind\` | a port, \`0\` lets the system choose; an address or a list, default \`bind\` of all listeners |
| \`path\`, \`mode\` | instead of a port: a Unix socket, of at most 103 bytes, and the permissions of its file in quotes (default \`'660'\`). A socket that nobody serves is replaced, anything else there stops the start |
| \`tls\` | TLS with its own \`cert\` and \`key\`, read again when they change; \`{}\`: with the certificate of all listeners |
| \`proxyProtocol\` | \`from\`: addresses and networks of proxies that begin each connection with a PROXY header, version 1 or 2, before TLS. The address in it then counts for limits, waits and the audit trail. A proxy that sends none, or a bad one, is cut off (\`clearbox_proxy_faults_total\`); who is not in \`from\` connects without one |
| \`anonymous\` | \`on\` or \`off\`; default \`mqtt.anonymous\`, which also holds for WebSocket |
| \`maxConnections\` | per address, and at most \`limits.connections\` |

A Unix socket counts as one address, \`unix\` in the audit trail; failed logins there make only their account wait.

## Links to other MQTT brokers

\`\`\`yaml
links:
  - name: site1
    url: mqtts://mq.example.org:8883
    username: clearbox
    passwordFile: /etc/clearbox/site1.password
    topics:
      - filter: sensors/#
        direction: in
        localPrefix: site1/ # site1/sensors/… here is sensors/… there
      - filter: commands/#
        direction: both
        qos: 2
\`\`\`

| Key | Value |
|---|---|
| \`name\` | names the session here (\`link-{name}\`) and \`$SYS/broker/connection/{name}/state\`, which is \`1\` while the link is up |
| \`url\` | \`mqtt://\` or \`mqtts://\`, host and port; the certificate is verified |
| \`ca\` | PEM file of who may have signed that certificate, instead of the system's list |
| \`username\`, \`password\`, \`passwordFile\` | of the other side; the file is read at every connect |
| \`clientId\` | of the other side; by default made of the name and an id of this broker |
| \`protocolVersion\` | \`5\` (default) or \`4\` for MQTT 3.1.1 |
| \`account\` | as whom the link acts here, with its rights; default \`admin\` |
| \`topics\` | \`filter\` of plain topics, \`direction\` (\`in\`, \`out\`, \`both\`), the highest \`qos\` (default 1), \`localPrefix\` and \`remotePrefix\`, which stand before the filter on their side; the first that fits decides |

What is published here while the other side is away waits in the queue of the link's session, within \`limits.queueMessages\` and
\`limits.queueBytes\`. Messages do not come back over the link that brought them; MQTT 5 also ends rings of several brokers, by the
user property \`cb-via\`. Links are read at the start only.
`
}

function defaultOf(path: (typeof settingPaths)[number]): string {
  const value = settingAt(path).default
  if (value === null || (Array.isArray(value) && value.length === 0)) return '–'
  return `\`${typeof value === 'boolean' ? (value ? 'on' : 'off') : value}\``
}
