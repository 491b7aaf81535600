import { Option } from 'commander'

export const configOption = () =>
  new Option('-c, --config <file>', 'settings (default: clearbox.yaml when it is there)')

export const passwordOption = () => new Option('--password-stdin', 'read the password from standard input')
