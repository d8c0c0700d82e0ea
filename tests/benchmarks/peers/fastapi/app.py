import asyncio
import os

from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse
from fastapi_health import health
from sqlalchemy import make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

url = os.environ["DATABASE_URL"].replace("postgres://", "postgresql://", 1)
engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
async_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session():
    async with async_session() as session:
        yield session


# The condition is that of fastapi-health's documentation, with `text()`, which SQLAlchemy 2 requires.
async def is_database_online(session: AsyncSession = Depends(get_session)):
    try:
        await asyncio.wait_for(session.execute(text("SELECT 1")), timeout=30)
    except (SQLAlchemyError, TimeoutError):
        return False
    return True


app = FastAPI()
app.add_api_route("/health", health([is_database_online]))


@app.get("/hello", response_class=PlainTextResponse)
async def hello():
    return "hello"
