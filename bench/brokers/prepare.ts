// How each broker is made ready.
import { prepareAedes } from './aedes.ts'
import type { BrokerUnderTest } from './broker.ts'
import type { BrokerName } from './broker-name.ts'
import { type ClearboxOptions, prepareClearbox } from './clearbox.ts'
import { prepareMosquitto } from './mosquitto.ts'
import { prepareProsody } from './prosody.ts'

type Prepare = (options: ClearboxOptions) => BrokerUnderTest | Promise<BrokerUnderTest>

export const prepareBroker: Readonly<Record<BrokerName, Prepare>> = {
  clearbox: prepareClearbox,
  mosquitto: prepareMosquitto,
  aedes: prepareAedes,
  prosody: () => prepareProsody('prosody'),
  'prosody-live': () => prepareProsody('prosody-live'),
}
