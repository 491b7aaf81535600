import { expect, test } from 'vitest'
import { settingAt, settingPaths } from '../../broker/config-table.ts'

test('docs/configuration.md says what the table of settings says (vitest -u writes it anew)', async () => {
  await expect(toMarkdown()).toMatchFileSnapshot('../../docs/configuration.md')
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
`
}

function defaultOf(path: (typeof settingPaths)[number]): string {
  const value = settingAt(path).default
  if (value === null || (Array.isArray(value) && value.length === 0)) return '–'
  return `\`${typeof value === 'boolean' ? (value ? 'on' : 'off') : value}\``
}
