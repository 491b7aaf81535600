// How each broker is made ready; null as the program of ClearBox: the one of this folder.
import { prepareAedes } from './aedes.ts'
import type { BrokerUnderTest } from './broker.ts'
import type { BrokerName } from './broker-name.ts'
import { prepareClearbox } from './clearbox.ts'
import { prepareMosquitto } from './mosquitto.ts'
import { prepareProsody } from './prosody.ts'

type Prepare = (clearboxProgram: string | null) => BrokerUnderTest | Promise<BrokerUnderTest>

export const prepareBroker: Readonly<Record<BrokerName, Prepare>> = {
  clearbox: prepareClearbox,
  mosquitto: prepareMosquitto,
  aedes: prepareAedes,
  prosody: () => prepareProsody('prosody'),
  'prosody-live': () => prepareProsody('prosody-live'),
}
